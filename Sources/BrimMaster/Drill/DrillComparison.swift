import BrimMetadata
import BrimModel
import BrimWire

/// What a slave would tell of a sample to whoever rebuilds the metadata.
package struct DrillAnswer: Sendable {
    /// Its copy of the namespace.
    package struct Namespace: Sendable {
        var scope: ReplicaScope
        /// Those of the sample's range, up to and including `through`.
        var entries: [FileID: Entry]
        var through: FileID
        /// How old it may be; nil when that is not told.
        var age: Duration?
    }

    /// nil where there is none.
    var namespace: Namespace?
    /// Of its catalog what is labelled with an entry of the range, and what is the content of a file of the sample.
    var blobs: [BlobID: RecoveryBlobs.Item]
}

/// One thing that one slave knows in another way than MongoDB.
struct DrillFinding: Sendable, Hashable {
    /// What it is about.
    struct Key: Sendable, Hashable {
        var file: FileID
        var server: ServerName
        var kind: DrillReport.Kind
        /// nil for what the copy of the namespace says, else the blob in the catalog.
        var blob: BlobID?
    }

    var key: Key
    var path: String
    /// The entry as MongoDB has it, without counts; nil when it has none.
    var entry: Entry?
    var mongodb: String
    var slave: String
}

/// Compares what slaves say with a sample of the metadata. Pure.
struct DrillComparison {
    let sample: NamespaceSample
    private let tree: RecoveryTree
    /// Files of the sample by their content.
    private let owners: [BlobID: FileID]

    init(_ sample: NamespaceSample) {
        self.sample = sample
        tree = RecoveryTree(
            live: sample.entries.merging(sample.directories) { entry, _ in entry }, formerDirectories: [:],
            now: Timestamp(seconds: 0, nanoseconds: 0))
        let contents = sample.entries.values.compactMap { entry in entry.content.map { ($0.blob, entry.id) } }
        owners = Dictionary(contents) { first, _ in first }
    }

    /// Copies of files in the sample that these servers should hold.
    func copies(on servers: Set<ServerName>) -> Int {
        sample.entries.values.reduce(0) { sum, entry in
            sum + (entry.content?.replicas.count(where: servers.contains) ?? 0)
        }
    }

    /// Blobs of an answer that a master has confirmed as those of entries in the range, and that are no file's content: they
    /// may be former versions and removed files.
    func strangers(in answer: DrillAnswer) -> [BlobID] {
        answer.blobs.values.filter {
            $0.confirmed && owners[$0.blob] == nil && sample.range.contains($0.label.file)
        }.map(\.blob).sorted()
    }

    /// All that differs. `unknown` are those of the strangers that MongoDB knows in no way.
    func findings(_ answer: DrillAnswer, of server: ServerName, unknown: Set<BlobID>) -> [DrillFinding] {
        var findings: [DrillFinding] = []
        if let namespace = answer.namespace { findings += compare(namespace, of: server) }
        for entry in sample.entries.values {
            if let content = entry.content { findings += compare(answer.blobs[content.blob], of: entry, on: server) }
        }
        for item in answer.blobs.values where unknown.contains(item.blob) {
            let label = item.label
            let entry = sample.entries[label.file]
            findings.append(
                DrillFinding(
                    key: .init(file: label.file, server: server, kind: .unknown, blob: item.blob),
                    path: entry.map { tree.path(of: $0.id) } ?? tree.path(in: label.parent, name: label.name),
                    entry: entry.map(Self.uncounted),
                    mongodb: entry.map { "\(Self.words($0)), and no blob \(item.blob)" } ?? "no entry, no removed file",
                    slave: "a copy of the blob \(item.blob), \(item.size) bytes, as of rev \(label.rev)"))
        }
        return findings
    }

    // MARK: Names

    private func compare(_ namespace: DrillAnswer.Namespace, of server: ServerName) -> [DrillFinding] {
        var findings: [DrillFinding] = []
        func note(_ id: FileID, _ kind: DrillReport.Kind, _ path: String, _ mongodb: String, _ slave: String) {
            findings.append(
                DrillFinding(
                    key: .init(file: id, server: server, kind: kind, blob: nil), path: path,
                    entry: sample.entries[id].map(Self.uncounted), mongodb: mongodb, slave: slave))
        }
        for (id, entry) in sample.entries where id <= namespace.through {
            if let known = namespace.entries[id] {
                let (mongodb, slave) = Self.difference(Self.facts(of: entry), Self.facts(of: known))
                if !mongodb.isEmpty { note(id, .attributes, tree.path(of: id), mongodb, slave) }
            } else if namespace.scope == .full || entry.content?.replicas.contains(server) ?? true {
                note(id, .missing, tree.path(of: id), Self.words(entry), "no entry")
            }
        }
        for (id, known) in namespace.entries where sample.entries[id] == nil && sample.range.contains(id) {
            note(id, .unknown, tree.path(in: known.parent, name: known.name), "no entry", Self.words(known))
        }
        return findings
    }

    // MARK: Copies

    private func compare(
        _ item: RecoveryBlobs.Item?, of entry: Entry, on server: ServerName
    ) -> [DrillFinding] {
        guard let content = entry.content else { return [] }
        func finding(_ kind: DrillReport.Kind, _ mongodb: String, _ slave: String) -> DrillFinding {
            DrillFinding(
                key: .init(file: entry.id, server: server, kind: kind, blob: content.blob),
                path: tree.path(of: entry.id), entry: Self.uncounted(entry), mongodb: mongodb, slave: slave)
        }
        let isHolder = content.replicas.contains(server)
        guard let item else {
            guard isHolder else { return [] }
            return [finding(.copyMissing, "a copy there of \(content.size) bytes", "no copy")]
        }
        var findings: [DrillFinding] = []
        if !isHolder, item.confirmed {
            findings.append(finding(.copyUnknown, "no copy there", "a copy of \(item.size) bytes"))
        }
        var facts = (
            mongodb: [("size", "\(content.size)"), ("checksum", "\(content.checksum)")],
            slave: [("size", "\(item.size)"), ("checksum", "\(item.checksum)")]
        )
        // A label is not renewed with each change, so it counts only where it is as recent as the entry.
        if item.label.file == entry.id, item.label.rev == entry.rev {
            facts.mongodb += Self.labelled(entry.parent, entry.name, content.n, entry.attributes)
            facts.slave += Self.labelled(item.label.parent, item.label.name, item.label.n, item.label.attributes)
        }
        let (mongodb, slave) = Self.difference(facts.mongodb, facts.slave)
        if !mongodb.isEmpty { findings.append(finding(.attributes, mongodb, "a copy with \(slave)")) }
        return findings
    }

    // MARK: Words

    typealias Facts = [(name: String, value: String)]

    /// How long a value is told in a difference, in characters.
    private static let shown = 100

    private static func uncounted(_ entry: Entry) -> Entry {
        var entry = entry
        entry.content?.k = 0
        entry.content?.readable = false
        return entry
    }

    static func words(_ entry: Entry) -> String {
        let content = entry.content.map { ", version \($0.version), \($0.size) bytes" } ?? ""
        return "a \(entry.type.rawValue)\(content), rev \(entry.rev)"
    }

    private static func labelled(
        _ parent: FileID?, _ name: EntryName?, _ n: Int, _ attributes: [String: AttributeValue]
    ) -> Facts {
        [
            ("name", name?.text ?? "none"), ("directory", parent?.description ?? "none"), ("n", "\(n)"),
            ("attributes", text(attributes)),
        ]
    }

    /// All of an entry that can be rebuilt, but who holds copies.
    private static func facts(of entry: Entry) -> Facts {
        var facts: Facts = [
            ("name", entry.name?.text ?? "none"), ("directory", entry.parent?.description ?? "none"),
            ("type", entry.type.rawValue), ("mode", String(entry.mode, radix: 8)), ("created", "\(entry.created)"),
            ("modified", "\(entry.modified)"), ("rev", "\(entry.rev)"), ("attributes", text(entry.attributes)),
            ("target", entry.target ?? "none"),
        ]
        if let content = entry.content {
            facts += [
                ("version", "\(content.version)"), ("blob", "\(content.blob)"), ("size", "\(content.size)"),
                ("checksum", "\(content.checksum)"),
            ]
        }
        facts.append(("n", (entry.content?.n ?? entry.copies).map(String.init) ?? "none"))
        return facts
    }

    /// The same for values that are the same in JSON: a number that is whole is told as such.
    private static func text(_ attributes: [String: AttributeValue]) -> String {
        guard !attributes.isEmpty else { return "none" }
        return attributes.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map { name, value in
            switch value {
            case .bool(let value): "\(name)=\(value)"
            case .int(let value): "\(name)=\(value)"
            case .double(let value): "\(name)=\(Int64(exactly: value).map { "\($0)" } ?? "\(value)")"
            case .string(let value): "\(name)='\(value)'"
            }
        }.joined(separator: " ")
    }

    /// Those that differ, in words; both empty when none does.
    private static func difference(_ mongodb: Facts, _ slave: Facts) -> (mongodb: String, slave: String) {
        func values(_ facts: Facts) -> [String: String] { Dictionary(facts.map { ($0, $1) }) { first, _ in first } }
        let (first, second) = (values(mongodb), values(slave))
        let names = mongodb.map(\.name) + slave.map(\.name).filter { first[$0] == nil }
        let differing = names.filter { first[$0] != second[$0] }
        func words(_ facts: [String: String]) -> String {
            differing.map { "\($0) \((facts[$0] ?? "none").prefix(shown))" }.joined(separator: ", ")
        }
        return (words(first), words(second))
    }
}
