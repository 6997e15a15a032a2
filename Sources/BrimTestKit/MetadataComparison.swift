import BrimMetadata
import BrimModel
import BrimPlacement
import Synchronization

/// Does the same random things to two stores, and compares every answer and all that can be read.
///
/// Ids of entries differ between stores, so entries are named by their paths, and compared without ids.
public struct MetadataComparison {
    /// A clock for both stores, so that what they enter as "now" is the same: it stands still within a step.
    public final class Clock: Sendable {
        private let seconds = Mutex<Int64>(1_800_000_000)
        public init() {}
        public var now: Timestamp { Timestamp(seconds: seconds.withLock { $0 }, nanoseconds: 1_500_000) }
        func advance() { seconds.withLock { $0 += 1 } }
    }

    private let stores: [any MetadataStore]
    private let clock: Clock
    private var random: SplitMix
    private var blobIDs: BlobIDGenerator
    private var view = ServerView(epoch: 1, counted: [], readable: [], up: [])
    private let serverNames: [ServerName]
    private var writes: [BlobCommit] = []
    private var paths: [BrimPath] = [.root]
    /// How often each kind of step did something: what is always refused compares nothing.
    public private(set) var effective: [String: Int] = [:]

    public init(_ first: any MetadataStore, _ second: any MetadataStore, clock: Clock, seed: UInt64) throws {
        stores = [first, second]
        self.clock = clock
        random = SplitMix(seed: seed)
        blobIDs = BlobIDGenerator(using: &random)
        serverNames = try ["alpha", "bravo", "charlie", "delta", "echo"].map { try ServerName(validating: $0) }
    }

    /// Throws a `ConformanceFailure` at the first difference.
    public mutating func run(steps: Int) async throws {
        for name in serverNames {
            try await both("join \(name)") {
                _ = try await $0.join(
                    ServerHello(
                        name: name, id: "id", address: "a:1", zone: "z", version: "1", requestedQuota: 1000,
                        usage: ServerUsage(boot: "b", count: 0, used: 0, diskFree: 1000, files: 0)))
                return ""
            }
        }
        try await changeView()
        for step in 1...max(1, steps) {
            clock.advance()
            try await self.step()
            if step % 20 == 0 || step == steps { try await compareAll() }
        }
    }

    private mutating func step() async throws {
        switch Int.random(in: 0..<100, using: &random) {
        case ..<30: try await commit()
        case ..<40: try await create()
        case ..<52: try await rename()
        case ..<62: try await remove()
        case ..<70: try await update()
        case ..<80: try await addReplica()
        case ..<88: try await giveUp()
        case ..<90: try await lose()
        case ..<91: try await settle()
        case ..<93: try await undelete()
        case ..<95: try await restore()
        case ..<96: try await purge()
        case ..<97: try await changeView()
        case ..<98: try await abandon()
        default: try await finishDeletions()
        }
    }

    // MARK: Steps

    private mutating func commit() async throws {
        var batch: [BlobCommit] = []
        var parents: [BrimPath] = []
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            if let again = writes.randomElement(using: &random), Bool.random(probability: 0.15, using: &random) {
                batch.append(again)
                parents.append(.root)
                continue
            }
            let blob = blobIDs.next(seconds: 1_800_000_000)
            let preconditions: [Precondition] = [.none, .none, .none, .absent, .present, .version(1), .version(2)]
            batch.append(
                BlobCommit(
                    request: "r-\(blob)", place: EntryPlace(parent: .root, name: try name()), blob: blob,
                    size: .random(in: 0...4, using: &random) * 100, checksum: Checksum(crc32c: 7),
                    replicas: servers(), mode: 0o644, modified: clock.now,
                    explicitN: Bool.random(using: &random) ? Int.random(in: 1...5, using: &random) : nil,
                    policy: .standard(3),
                    attributes: ["a": .int(.random(in: 0...3, using: &random))],
                    precondition: preconditions.randomElement(using: &random) ?? .none))
            parents.append(directory())
        }
        writes += batch
        let (view, unplaced, directories) = (view, batch, parents)
        try await both("committing \(batch.map { "\($0.place.name) \($0.precondition)" }) into \(parents)") { store in
            var placed = unplaced
            for (i, path) in directories.enumerated() {
                guard let parent = try await Self.find(path, in: store) else { return "nothing" }
                placed[i].place.parent = parent.id
            }
            return try await store.commit(placed, view: view).map { outcome in
                switch outcome {
                case .success(let done): "\(done.created) \(Self.describe(done.entry))"
                case .failure(let error): error.code.rawValue
                }
            }.joined(separator: "; ")
        }
    }

    private mutating func create() async throws {
        let (parent, name) = (directory(), try name())
        let isLink = Bool.random(probability: 0.2, using: &random)
        try await both("creating \(name) in \(parent)") { [clock] store in
            guard let directory = try await Self.find(parent, in: store) else { return "nothing" }
            let made = try await store.create(
                NewEntry(
                    place: EntryPlace(parent: directory.id, name: name), type: isLink ? .symlink : .directory,
                    mode: 0o755, modified: clock.now, target: isLink ? "elsewhere" : nil))
            return Self.describe(made)
        }
    }

    private mutating func rename() async throws {
        let (from, parent, name) = (anything(), directory(), try name())
        let (replace, view) = (Bool.random(probability: 0.7, using: &random), view)
        try await both("renaming \(from) to \(parent)/\(name), \(replace)") { store in
            guard let entry = try await Self.find(from, in: store), let oldParent = entry.parent,
                let oldName = entry.name,
                let target = try await Self.find(parent, in: store)
            else { return "nothing" }
            return Self.describe(
                try await store.rename(
                    entry.id, from: EntryPlace(parent: oldParent, name: oldName),
                    to: EntryPlace(parent: target.id, name: name), path: "\(parent)/\(name)", replace: replace,
                    view: view))
        }
    }

    private mutating func remove() async throws {
        let victims = (0..<Int.random(in: 1...4, using: &random)).map { _ in anything() }
        let isStale = Bool.random(probability: 0.1, using: &random)
        let (isNow, view) = (Bool.random(probability: 0.3, using: &random), view)
        try await both("removing \(victims) \(isNow)") { store in
            var entries: [Removal] = []
            for path in victims {
                guard var entry = try await Self.find(path, in: store) else { continue }
                if isStale { entry.rev += 1 }
                entries.append(Removal(entry, path: path.description))
            }
            return try await store.remove(entries, now: isNow, view: view).map { $0?.code.rawValue ?? "done" }.joined(
                separator: " ")
        }
    }

    private mutating func update() async throws {
        let path = anything()
        let change = EntryChange(
            n: Bool.random(using: &random) ? Int.random(in: 0...6, using: &random) : nil,
            attributes: ["a": Bool.random(using: &random) ? .double(1.5) : nil],
            mode: Bool.random(using: &random) ? 0o600 : nil)
        let view = view
        try await both("updating \(path) with \(change)") { store in
            guard let entry = try await Self.find(path, in: store) else { return "nothing" }
            return Self.describe(try await store.update(entry.id, change, view: view))
        }
    }

    private mutating func addReplica() async throws {
        let (path, names, view) = (anything(), servers(), view)
        try await both("copying \(path) on \(names)") { store in
            let changes = try await Self.changes(path, names, in: store)
            return "\(try await store.addReplicas(changes, view: view))"
        }
    }

    private mutating func giveUp() async throws {
        let (path, names, view) = (anything(), servers(), view)
        let least = Int.random(in: -8...1, using: &random)
        try await both("giving up \(path) on \(names)") { store in
            let changes = try await Self.changes(path, names, in: store)
            return "\(try await store.giveUp(changes, minSurplus: changes.map { _ in least }, view: view))"
        }
    }

    private mutating func lose() async throws {
        let (path, names, view) = (anything(), servers(), view)
        try await both("losing \(path) on \(names)") { store in
            try await store.loseReplicas(try await Self.changes(path, names, in: store), view: view)
            return ""
        }
    }

    private mutating func settle() async throws {
        let view = view
        try await both("settling") { "\(try await $0.settleVersions(of: nil, limit: 1000, view: view))" }
    }

    private mutating func undelete() async throws {
        let (parent, name, view) = (directory(), try name(), view)
        let choice = Int.random(in: 0..<100, using: &random)
        try await both("undeleting to \(parent)/\(name)") { store in
            let removed = try await store.removedFiles(.below("/"), after: nil, limit: 1000)
            guard !removed.isEmpty, let directory = try await Self.find(parent, in: store) else { return "nothing" }
            return Self.describe(
                try await store.undelete(
                    removed[choice % removed.count].entry.id, to: EntryPlace(parent: directory.id, name: name),
                    view: view))
        }
    }

    private mutating func restore() async throws {
        let (path, view) = (anything(), view)
        let back = Int64.random(in: 0...2, using: &random)
        try await both("restoring \(path), \(back) versions back") { store in
            guard let entry = try await Self.find(path, in: store),
                let version = entry.content.map({ $0.version - back })
            else { return "nothing" }
            return Self.describe(try await store.restore(version, of: entry.id, view: view))
        }
    }

    private mutating func purge() async throws {
        let path = anything().description
        let scope: PurgeScope =
            switch Int.random(in: 0..<4, using: &random) {
            case 0: .all(trash: true, versions: false)
            case 1: .all(trash: false, versions: true)
            case 2: .removed(.below(path))
            default: .removed(.at(path))
            }
        try await both("purging \(scope)") { "\(try await $0.purge(scope, before: nil, limit: 1000))" }
    }

    /// Publishes other sets and recounts every server, some pieces at a time.
    private mutating func changeView() async throws {
        let counted = Set(serverNames.filter { _ in Bool.random(probability: 0.7, using: &random) })
        let readable = counted.union(serverNames.filter { _ in Bool.random(probability: 0.2, using: &random) })
        let wasCounted = view.counted
        view = ServerView(epoch: view.epoch + 1, counted: counted, readable: readable, up: counted)
        let (view, names) = (view, serverNames)
        try await both("recounting for \(view)") { store in
            var steps: [String] = []
            for name in names {
                let rising = view.counted.contains(name) && !wasCounted.contains(name)
                var progress = RecountProgress(epoch: view.epoch)
                while !progress.finished {
                    progress = try await store.recount(name, from: progress, rising: rising, limit: 5, view: view)
                    steps.append("\(name) \(progress.after?.surplus ?? 0)")
                }
            }
            return steps.joined(separator: ", ")
        }
    }

    private mutating func abandon() async throws {
        var blobs = writes.suffix(3).map(\.blob)
        var late = BlobCommit(
            request: "late", place: EntryPlace(parent: .root, name: try name()),
            blob: blobIDs.next(seconds: 1_800_000_000), size: 1, checksum: Checksum(crc32c: 1), replicas: servers(),
            mode: 0o644, modified: clock.now, explicitN: nil, policy: .standard(3))
        late.request = "late-\(late.blob)"
        blobs.append(late.blob)
        writes.append(late)
        let wanted = blobs
        try await both("abandoning") { "\(try await $0.abandon(wanted).sorted())" }
    }

    private mutating func finishDeletions() async throws {
        let server = serverNames.randomElement(using: &random) ?? serverNames[0]
        let (names, now) = (serverNames, clock.now)
        let isReported = Bool.random(using: &random)
        try await both("deleting on \(server)") { store in
            let blobs = try await store.pendingDeletions(on: server, limit: 5)
            try await store.deletionsDone(on: server, blobs)
            if isReported {
                for name in names { try await store.noteReport(name, at: now) }
                try await store.trimTombstones(before: now)
            }
            return "\(blobs)"
        }
    }

    // MARK: Choosing

    private mutating func name() throws -> EntryName {
        try EntryName(["a", "b", "c", "d", "é", "e\u{301}", "$f", "g.h", "i"].randomElement(using: &random) ?? "a")
    }

    private mutating func servers() -> [ServerName] {
        Array(serverNames.shuffled(using: &random).prefix(.random(in: 1...3, using: &random)))
    }

    private mutating func anything() -> BrimPath { paths.randomElement(using: &random) ?? .root }

    /// Mostly directories, as most names are tried at the upper levels.
    private mutating func directory() -> BrimPath {
        Bool.random(probability: 0.4, using: &random) ? .root : anything()
    }

    private static func find(_ path: BrimPath, in store: any MetadataStore) async throws -> Entry? {
        let found = try await store.resolve(path)
        return found.count == path.components.count + 1 ? found.last : nil
    }

    private static func changes(
        _ path: BrimPath, _ servers: [ServerName], in store: any MetadataStore
    ) async throws -> [ReplicaChange] {
        guard let entry = try await find(path, in: store), let content = entry.content else { return [] }
        return servers.map { ReplicaChange(file: entry.id, blob: content.blob, server: $0) }
    }

    // MARK: Comparing

    private static func describe(_ entry: Entry) -> String {
        let content = entry.content.map {
            "v\($0.version) \($0.blob) \($0.size) n\($0.n) k\($0.k) \($0.readable) \($0.replicas) \($0.checksum)"
        }
        let attributes = entry.attributes.sorted { $0.key < $1.key }
        return """
            \(entry.name?.text ?? "/") \(entry.type) \(entry.mode) c\(entry.created) m\(entry.modified) r\(entry.rev) \
            \(attributes) \(entry.target ?? "") \(content ?? "")
            """
    }

    private mutating func both(_ what: String, _ body: @Sendable (any MetadataStore) async throws -> String)
        async throws
    {
        var answers: [String] = []
        for store in stores {
            do {
                answers.append(try await body(store))
            } catch let error as BrimError {
                answers.append(error.code.rawValue)
            }
        }
        // By bytes: two spellings of a name are two names.
        guard Array(answers[0].utf8) == Array(answers[1].utf8) else {
            throw ConformanceFailure(description: "\(what):\n  \(answers[0])\n  \(answers[1])")
        }
        let isIdle = answers[0].isEmpty || ["nothing", "[]"].contains(answers[0]) || answers[0].hasPrefix("[false")
        if !isIdle, BrimError.Code(rawValue: answers[0]) == nil {
            effective[String(what.prefix { $0 != " " }), default: 0] += 1
        }
    }

    private mutating func compareAll() async throws {
        let (view, names, blobs) = (view, serverNames, writes.map(\.blob))
        try await both("all entries") { store in
            var fixture = try ConformanceFixture(store)
            fixture.view = view
            try await fixture.checkCounts()
            let lines = try await fixture.tree().map { "\($0.key): \(Self.describe($0.value))" }
            return lines.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }.joined(separator: "\n")
        }
        try await both("decisions") { store in
            var lines: [String] = []
            var after: NeedyPosition?
            while true {
                let page = try await store.neediest(after: after, limit: 3, brims: [400, 300, 300, 100], maxCopies: 3)
                guard let last = page.last, let content = last.content else { break }
                lines += page.map(Self.describe)
                after = NeedyPosition(surplus: content.surplus, size: content.size, file: last.id)
            }
            for name in names {
                lines += try await store.richest(on: name, minSurplus: -1, limit: 20).map {
                    "\(name) \($0.blob) \($0.surplus) \($0.size) \($0.replicas)"
                }
                lines += try await store.blobs(on: name, after: nil, through: nil, limit: 1000).map { "\($0.blob)" }
                lines.append("\(try await store.reclaimable(on: name))")
                lines += try await store.pendingDeletions(on: name, limit: 1000).map { "\($0)" }
            }
            lines.append("\(try await store.tombstoned(blobs).sorted())")
            for file in try await store.removedFiles(.below("/"), after: nil, limit: 1000) {
                lines.append("\(file.path) \(file.removed) \(file.formerN) \(Self.describe(file.entry))")
                lines += try await store.formerVersions(of: file.entry.id, before: nil, limit: 1000).map { "\($0)" }
            }
            for entry in try await ConformanceFixture(store).tree().values.sorted(by: { $0.id < $1.id }) {
                lines += try await store.formerVersions(of: entry.id, before: nil, limit: 1000).map { "\($0)" }
            }
            for (blob, owner) in try await store.owners(of: blobs).sorted(by: { $0.key < $1.key }) {
                lines.append("\(blob) \(owner.kind) \(owner.content)")
            }
            lines.append("\(try await store.trashTotals(nil))")
            lines.append("\(try await store.histogram()) \(String(describing: try await store.surplusBounds()))")
            return lines.joined(separator: "\n")
        }
        var found: [BrimPath] = [.root]
        for path in try await ConformanceFixture(stores[0]).tree().keys.sorted(by: {
            $0.utf8.lexicographicallyPrecedes($1.utf8)
        }) {
            found.append(try BrimPath(parsing: path))
        }
        paths = found
    }
}

/// A small generator of random numbers (Steele, Lea and Flood 2014), so that a seed gives the same run anywhere.
public struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64
    public init(seed: UInt64) { state = seed }
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

extension Bool {
    static func random(probability: Double, using random: inout some RandomNumberGenerator) -> Bool {
        Double.random(in: 0..<1, using: &random) < probability
    }
}
