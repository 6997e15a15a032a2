import BrimModel
import LoadKit
import MongoDriver

/// The documents of a swarm at rest: two copies wanted of each file, and a third of nine in ten. A tenth of the files, a million at
/// most, are in one directory; the others in directories of a thousand.
struct SampleSwarm: Sendable {
    static let wanted = 2
    static let perDirectory = 1000
    /// The first numbers after the root's.
    private static let large = 2

    let files: Int
    let servers: [ServerName]
    /// Of the files, those in the one large directory.
    let inLarge: Int
    private let directories: Int

    init(files: Int, servers: Int) throws {
        self.files = files
        self.servers = try (0..<servers).map { try ServerName(validating: "server-\($0)") }
        inLarge = min(1_000_000, files / 10)
        directories = (files - inLarge + Self.perDirectory - 1) / Self.perDirectory
    }

    /// The greatest number of an entry.
    var lastID: Int { Self.large + directories + files }

    /// Path of the large directory, and of a file, by its number from 0.
    var largePath: String { "/large" }
    func path(of file: Int) -> String { "/\(directory(of: file) ?? "large")/\(name(of: file))" }

    private func directory(of file: Int) -> String? {
        file < inLarge ? nil : Self.name(ofDirectory: (file - inLarge) / Self.perDirectory)
    }
    private static func name(ofDirectory number: Int) -> String { "directory-\(number)" }
    private func name(of file: Int) -> String { "holiday picture \(file).jpeg" }

    /// Numbers of files that the first server has no copy of.
    func isElsewhere(_ file: Int) -> Bool { !copies(of: file).contains(0) }

    /// Which servers hold a file.
    private func copies(of file: Int) -> [Int] {
        var random = Mixer(seed: UInt64(file))
        let count = random.next(below: 10) == 0 ? 2 : 3
        var chosen: [Int] = []
        while chosen.count < count {
            let server = random.next(below: servers.count)
            if !chosen.contains(server) { chosen.append(server) }
        }
        return chosen
    }

    /// From a kilobyte to a hundred megabytes, each order of magnitude as often as the others.
    private func size(of file: Int) -> Int64 {
        var random = Mixer(seed: UInt64(file) &+ 1 << 40)
        var size: Int64 = 1000
        for _ in 0..<random.next(below: 5) { size *= 10 }
        return size * Int64(1 + random.next(below: 9)) + Int64(random.next(below: 1000))
    }

    // MARK: Documents

    /// All directories but the root.
    var directoryDocuments: [BSONDocument] {
        [Self.entry(Self.large, in: 1, "large", type: "directory")]
            + (0..<directories).map {
                Self.entry(Self.large + 1 + $0, in: 1, Self.name(ofDirectory: $0), type: "directory")
            }
    }

    func document(of file: Int) -> BSONDocument {
        let parent = file < inLarge ? Self.large : Self.large + 1 + (file - inLarge) / Self.perDirectory
        let copies = copies(of: file)
        var document = Self.entry(Self.large + 1 + directories + file, in: parent, name(of: file), type: "file")
        let blob = ObjectID(bytes: Self.bytes(of: file))
        document.append("version", 1)
        document.append("blob", blob.map(BSONValue.objectID) ?? .null)
        document.append("size", .int64(size(of: file)))
        document.append("checksum", "crc32c:0badcafe")
        document.append("request", .string("0123456789abcdef0123456789abcdef"))
        document.append("former", [])
        document.append("n", .int(Self.wanted))
        document.append("k", .int(copies.count))
        document.append("surplus", .int(copies.count - Self.wanted))
        document.append("readable", true)
        document.append("replicas", .array(copies.map { .string(servers[$0].rawValue) }))
        document.append("policy", "default")
        return document
    }

    private static func bytes(of file: Int) -> [UInt8] {
        let time = 1_700_000_000 + UInt32(file / 100)
        return (0..<4).map { UInt8(truncatingIfNeeded: time >> (24 - 8 * $0)) }
            + (0..<8).map { UInt8(truncatingIfNeeded: UInt64(file) >> (56 - 8 * $0)) }
    }

    private static func entry(_ id: Int, in parent: Int, _ name: String, type: String) -> BSONDocument {
        let time = BSONValue.date(milliseconds: 1_700_000_000_000 + Int64(id))
        return [
            "_id": .int64(Int64(id)), "state": "live", "parent": .int64(Int64(parent)), "name": .string(name),
            "type": .string(type), "mode": .int(type == "file" ? 0o644 : 0o755), "uid": 0, "gid": 0, "nlink": 1,
            "created": time, "createdNanos": 123_456, "modified": time, "modifiedNanos": 123_456, "changed": time,
            "changedNanos": 123_456, "rev": 1, "attributes": [:],
        ]
    }
}
