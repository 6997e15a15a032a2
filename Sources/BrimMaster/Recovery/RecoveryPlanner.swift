import BrimMetadata
import BrimModel
import BrimWire

/// Puts a swarm's metadata together from what its slaves know. Pure: no I/O, the time is an argument.
///
/// What is there is told by the copy of the namespace that has most of the changes (`base`); of each entry the greatest `rev`
/// that any slave knows counts. Blobs that belong to no such entry are former versions of the file that they were of; or
/// of files that were removed, or, if they came later than that copy, of files that it did not know yet.
struct RecoveryPlanner {
    /// How much earlier than its time a copy of the namespace may end: clocks differ, and it is noted down now and then.
    private static let toleranceSeconds: Int64 = 30

    private let answers: [SlaveSurvey.Answer]
    private let now: Timestamp
    private let base: SlaveSurvey.Answer?
    private let lateFrom: Timestamp?
    /// Of each block of numbers the last that the base knows.
    private let lastKnown: [Int64: FileID]
    private var report: RecoveryReport
    private var blobs: [BlobID: Copies] = [:]
    private var former: [FileID: [Version]] = [:]
    private var removed: [FileID: [Version]] = [:]
    private var tree = RecoveryTree(live: [:], formerDirectories: [:], now: Timestamp(seconds: 0, nanoseconds: 0))
    /// Files that only copies of the namespace know which are older than the base: they were removed.
    private var staleFiles: [FileID: Entry] = [:]

    /// A blob, as the slaves have it.
    private struct Copies {
        var size: Int64
        var checksum: Checksum
        var holders: Set<ServerName>
        var label: BlobLabel
        /// When it came to the first of them.
        var created: Timestamp
    }

    /// A blob that is, or was, the content of a file.
    private struct Version {
        var content: FileContent
        var label: BlobLabel?
        var rev: Int64
        var modified: Timestamp
    }

    /// Throws `.notFound` when no slave has answered, `.conflict` when they are of several swarms.
    init(_ answers: [SlaveSurvey.Answer], silent: [SlaveSurvey.Silence], now: Timestamp) throws {
        let swarms = Set(answers.compactMap(\.facts.swarm))
        guard let swarm = swarms.first else {
            throw BrimError(
                .notFound, "no slave that belongs to a swarm has answered",
                advice: "Start the slaves, and name their addresses with --slaves")
        }
        guard swarms.count == 1 else {
            let list = answers.map { "\($0.facts.name) of \($0.facts.swarm ?? "none")" }.joined(separator: ", ")
            throw BrimError(
                .conflict, "these slaves belong to several swarms: \(list)", advice: "Name those of one swarm",
                retryable: false)
        }
        self.answers = answers
        self.now = now
        let (base, asOf) = Self.latest(among: answers)
        self.base = base
        lateFrom = asOf.map { Timestamp(seconds: $0.seconds - Self.toleranceSeconds, nanoseconds: 0) }
        lastKnown = Dictionary((base?.entries ?? []).map { (Self.block($0.id), $0.id) }, uniquingKeysWith: max)
        report = RecoveryReport(swarm: swarm)
        report.namespace = base?.facts.name
        report.asOf = asOf
        report.servers = answers.map { answer in
            RecoveryReport.Server(
                name: answer.facts.name, address: answer.address, blobs: answer.blobs.count,
                entries: answer.facts.namespace.map { _ in answer.entries.count },
                asOf: answer.facts.namespace?.asOf)
        }
        report.silent = silent.map {
            RecoveryReport.Silent(name: $0.name, address: $0.address, reason: $0.reason)
        }
    }

    /// The whole copy of the namespace that has most of the changes, and until when it has all.
    ///
    /// Copies note the time only while they hear that there is nothing more, which may be long ago where changes come all the
    /// time; so of one history the position tells which is later. What has more of it has all that others had at their times.
    private static func latest(
        among answers: [SlaveSurvey.Answer]
    ) -> (base: SlaveSurvey.Answer?, asOf: Timestamp?) {
        let whole = answers.filter { $0.facts.namespace?.scope == .full }
        guard let newest = whole.max(by: { $0.asOf < $1.asOf }) else { return (nil, nil) }
        let history = whole.filter { $0.position.epoch == newest.position.epoch }
        let base = history.max { ($0.position, $0.asOf, $0.facts.name) < ($1.position, $1.asOf, $1.facts.name) }
        return (base, newest.asOf)
    }

    /// The metadata, and what there is to say of it.
    mutating func plan() throws -> (metadata: RecoveredMetadata, report: RecoveryReport) {
        gatherBlobs()
        var live = gatherEntries()
        var owned = placeBlobs(in: &live)
        try placeOthers(&live, &owned)
        try settleTree()
        count()
        let metadata = try metadata()
        addNotes()
        return (metadata, report)
    }

    // MARK: What the slaves know

    private mutating func gatherBlobs() {
        for answer in answers {
            for item in answer.blobs {
                var copies =
                    blobs[item.blob]
                    ?? Copies(
                        size: item.size, checksum: item.checksum, holders: [], label: item.label, created: item.created)
                // One that differs is damaged, or none of this blob: the first to be met may be it, and is looked at again
                // by its server when it reports.
                guard copies.size == item.size, copies.checksum == item.checksum else { continue }
                copies.holders.insert(answer.facts.name)
                copies.created = min(copies.created, item.created)
                if item.label.file.rawValue > 0, item.label.rev >= copies.label.rev { copies.label = item.label }
                blobs[item.blob] = copies
            }
        }
    }

    /// Live entries by number, of each the greatest `rev`.
    private mutating func gatherEntries() -> [FileID: Entry] {
        var known: [FileID: Entry] = [:]
        for answer in answers.sorted(by: { $0.asOf > $1.asOf }) {
            for entry in answer.entries where entry.rev > known[entry.id]?.rev ?? 0 { known[entry.id] = entry }
        }
        guard let base, let lateFrom else { return known }
        let present = Set(base.entries.map(\.id))
        var live: [FileID: Entry] = [:]
        var directories: [FileID: Entry] = [:]
        for (id, entry) in known {
            if present.contains(id) || isLate(id, entry.created, lateFrom) {
                live[id] = entry
            } else if entry.type == .directory {
                directories[id] = entry
            } else if entry.type == .file {
                staleFiles[id] = entry
            }
        }
        tree = RecoveryTree(live: [:], formerDirectories: directories, now: now)
        return live
    }

    // MARK: Whose a blob is

    /// Enters the holders of the content of live files; gives the blobs that have an owner by that.
    private func placeBlobs(in live: inout [FileID: Entry]) -> Set<BlobID> {
        var owned: Set<BlobID> = []
        for (id, entry) in live {
            guard let content = entry.content else { continue }
            owned.insert(content.blob)
            live[id]?.content?.replicas = holders(of: content)
        }
        return owned
    }

    private func holders(of content: FileContent) -> [ServerName] {
        guard let copies = blobs[content.blob], copies.size == content.size, copies.checksum == content.checksum else {
            return []
        }
        return copies.holders.sorted()
    }

    /// Blobs of files as they were, of files that were removed, and of those that no copy of the namespace knows yet.
    private mutating func placeOthers(_ live: inout [FileID: Entry], _ owned: inout Set<BlobID>) throws {
        var others: [FileID: [Version]] = [:]
        for (blob, copies) in blobs where !owned.contains(blob) {
            guard copies.label.file.rawValue > 0 else {
                report.unknownBlobs += 1
                continue
            }
            let content = FileContent(
                version: 1, blob: blob, size: copies.size, checksum: copies.checksum, n: Self.n(copies.label.n), k: 0,
                readable: false, replicas: copies.holders.sorted())
            others[copies.label.file, default: []].append(
                Version(
                    content: content, label: copies.label, rev: copies.label.rev,
                    modified: Timestamp(seconds: blob.seconds, nanoseconds: 0)))
        }
        for (file, versions) in others {
            let versions = versions.sorted { ($0.rev, $0.content.blob) < ($1.rev, $1.content.blob) }
            if let entry = live[file], entry.type == .file {
                place(versions, of: entry, in: &live)
            } else if let newest = versions.last, isLive(newest) {
                live[file] = try entry(file, newest)
                former[file] = versions.dropLast()
            } else {
                removed[file] = versions
            }
        }
        tree = RecoveryTree(live: live, formerDirectories: tree.formerDirectories, now: now)
    }

    /// Other blobs of a file that is there: newer than what the copy of the namespace knew, or former versions.
    private mutating func place(_ versions: [Version], of entry: Entry, in live: inout [FileID: Entry]) {
        var versions = versions
        if let newest = versions.last, newest.rev > entry.rev, let content = entry.content, let label = newest.label {
            versions.removeLast()
            versions.append(Version(content: content, label: nil, rev: entry.rev, modified: entry.modified))
            var changed = entry
            changed.content = newest.content
            changed.content?.version = content.version
            changed.rev = newest.rev
            changed.modified = newest.modified
            changed.attributes = label.attributes
            live[entry.id] = changed
            newer.append(entry.id)
        }
        former[entry.id] = versions
    }

    /// Files of which a slave has a newer version than the copy of the namespace knew.
    private var newer: [FileID] = []

    /// Whether a file of which no copy of the namespace knows is there: it came later than those end. Without a whole copy
    /// nobody knows what was removed.
    private func isLive(_ version: Version) -> Bool {
        guard let file = version.label?.file, staleFiles[file] == nil else { return false }
        guard let lateFrom else { return true }
        return blobs[version.content.blob].map { isLate(file, $0.created, lateFrom) } ?? false
    }

    /// Whether what the base does not know came after it: about then or later, and with a number beyond those that it knows.
    /// Each block of numbers is one master's, which uses them in their order.
    private func isLate(_ id: FileID, _ created: Timestamp, _ lateFrom: Timestamp) -> Bool {
        created >= lateFrom && id > lastKnown[Self.block(id)] ?? FileID(0)
    }

    /// The first block begins after the root.
    private static func block(_ id: FileID) -> Int64 { (id.rawValue - 2) / Int64(MongoMetadataStore.idBlock) }

    private func entry(_ file: FileID, _ version: Version) throws -> Entry {
        guard let label = version.label else { throw BrimError(.internal, "a recovered file has no label") }
        return Entry(
            id: file, parent: label.parent, name: label.name, type: .file, mode: 0o644, created: version.modified,
            modified: version.modified, rev: max(1, label.rev), attributes: label.attributes, content: version.content)
    }

    private static func n(_ n: Int) -> Int { max(1, min(n, Limits.maxCopies)) }

    // MARK: The tree

    private mutating func settleTree() throws {
        try tree.connect()
        let blobs = blobs
        let losers = try tree.separate { first, second in
            func age(_ entry: Entry) -> (Timestamp, Int64, FileID) {
                let came = entry.content.flatMap { blobs[$0.blob]?.created } ?? entry.created
                return (came, entry.rev, entry.id)
            }
            return age(first) > age(second)
        }
        for (loser, winner) in losers {
            guard let content = loser.content else { continue }
            let version = Version(content: content, label: nil, rev: 0, modified: loser.modified)
            former[winner] = [version] + (former.removeValue(forKey: loser.id) ?? []) + (former[winner] ?? [])
        }
        for (path, what) in tree.mended { report.note(conflict: what, at: path) }
        for id in newer {
            report.note(
                conflict:
                    "a slave has a newer version than the copy of the namespace knew: it is current, and that one a "
                    + "former version", at: tree.path(of: id))
        }
    }

    private mutating func count() {
        for (id, entry) in tree.live {
            switch entry.type {
            case .directory: report.directories += id == .root ? 0 : 1
            case .symlink: report.links += 1
            case .file:
                report.files += 1
                report.bytes += entry.content?.size ?? 0
                if entry.content?.replicas.isEmpty ?? true { report.note(unreachable: tree.path(of: id)) }
            }
        }
        report.unreachableFiles.sort()
    }

    // MARK: The outcome

    private mutating func metadata() throws -> RecoveredMetadata {
        var result = RecoveredMetadata(
            swarm: report.swarm, live: [], removed: [], former: [], servers: answers.map { server($0) },
            lastID: lastID(), term: answers.map(\.facts.term).max() ?? 0, asOf: report.asOf ?? now)
        for (id, versions) in former where !versions.isEmpty {
            guard var entry = tree.live[id] else { continue }
            result.former += number(versions, of: &entry)
            tree.update(entry)
        }
        for (file, versions) in removed {
            guard let newest = versions.last else { continue }
            var entry = try staleFiles[file] ?? entry(file, newest)
            let isKnown = entry.content?.blob == newest.content.blob
            if !isKnown { entry.content = newest.content }
            entry.content?.replicas = newest.content.replicas
            result.former += number(versions.dropLast(), of: &entry)
            result.removed.append(
                RecoveredMetadata.Removed(entry: entry, path: tree.path(in: entry.parent, name: entry.name)))
        }
        result.live = tree.live.values.sorted { $0.id < $1.id }
        report.removed = result.removed.count
        report.formerVersions = result.former.count
        return result
    }

    /// Gives a file's former versions the numbers below its own, in their order.
    private func number(_ versions: [Version], of entry: inout Entry) -> [RecoveredMetadata.Former] {
        let current = max(entry.content?.version ?? 1, Int64(versions.count) + 1)
        entry.content?.version = current
        let file = entry
        return versions.enumerated().map { place, version in
            var content = version.content
            content.version = current - Int64(versions.count - place)
            content.replicas = holders(of: content)
            return RecoveredMetadata.Former(file: file, content: content, modified: version.modified)
        }
    }

    private func server(_ answer: SlaveSurvey.Answer) -> ServerRecord {
        let facts = answer.facts
        return ServerRecord(
            name: facts.name, id: facts.id, address: answer.address, zone: facts.zone, version: facts.version,
            state: .down, quota: facts.quota, requestedQuota: facts.quotaAsked, usage: facts.usage, load: ServerLoad(),
            heartbeat: now)
    }

    /// The greatest number that any slave has heard of.
    private func lastID() -> FileID {
        var last = FileID.root
        for answer in answers {
            for entry in answer.entries { last = max(last, entry.id, entry.parent ?? .root) }
            for item in answer.blobs { last = max(last, item.label.file, item.label.parent) }
        }
        return last
    }

    private mutating func addNotes() {
        if base == nil {
            report.notes.append(
                "no slave had a whole copy of the namespace: removed files are there again, directories may be missing")
        }
        if !report.silent.isEmpty {
            report.notes.append(
                "slaves did not answer: what only they have is missing until they are back; files that are known are "
                    + "whole then, other blobs stay on them")
        }
        report.notes.append(
            "settings of the swarm, why copies are where they are, which servers were draining, and former versions' times "
                + "are not known to slaves")
    }
}

extension SlaveSurvey.Answer {
    /// When its copy of the namespace was what the masters had; long ago without one.
    fileprivate var asOf: Timestamp { facts.namespace?.asOf ?? Timestamp(seconds: 0, nanoseconds: 0) }

    /// What its copy of the namespace has; before everything when that is not told.
    fileprivate var position: ChangePosition { ChangePosition(rawValue: facts.namespace?.position ?? "") }
}
