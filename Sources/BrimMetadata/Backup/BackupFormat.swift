import BrimModel
import Crypto
import MongoDriver

/// What a backup of a swarm's metadata begins with.
public struct BackupHeader: Sendable, Equatable {
    /// The only format so far.
    static let format: Int64 = 1

    /// The swarm's id.
    public var swarm: String
    /// The name of the database that it was made from.
    public var database: String
    /// The moment whose state it holds, on the database's clock.
    public var time: Timestamp
    /// Of the documents.
    public var schemaVersion: Int64
    /// Of the program that made it.
    public var version: String
    /// Documents by collection, in the order in which they follow.
    public var counts: [(collection: String, documents: Int64)]
    /// Tells whether it was made with the same password; reveals nothing of that.
    var passwordProof: String

    public static func == (a: BackupHeader, b: BackupHeader) -> Bool { a.document == b.document }

    /// Of all collections.
    public var documents: Int64 { counts.reduce(0) { $0 + $1.documents } }
}

extension BackupHeader {
    private static let kind: BSONValue = "metadata backup"

    var document: BSONDocument {
        [
            "brim": Self.kind, "format": .int64(Self.format), "swarm": .string(swarm), "database": .string(database),
            "time": .date(time), "schemaVersion": .int64(schemaVersion), "version": .string(version),
            "passwordProof": .string(passwordProof),
            "counts": .documents(
                counts.map { ["collection": .string($0.collection), "documents": .int64($0.documents)] }),
        ]
    }

    /// Throws `.unsupported` for another format, `.corrupt` for what is no header.
    init(_ document: BSONDocument) throws(BrimError) {
        guard document["brim"] == Self.kind, let format = document["format"]?.int64Value else {
            throw BrimError(.corrupt, "it is no backup of a swarm's metadata")
        }
        guard format == Self.format else {
            throw BrimError(
                .unsupported, "it has format \(format), this program knows \(Self.format)",
                advice: "Restore it with the version of brim that made it")
        }
        swarm = try document.string("swarm")
        database = try document.string("database")
        time = try document.time("time")
        schemaVersion = try document.int64("schemaVersion")
        version = try document.string("version")
        passwordProof = try document.string("passwordProof")
        counts = []
        for count in try document.read("counts", { $0.arrayValue }).compactMap(\.documentValue) {
            counts.append((try count.string("collection"), try count.int64("documents")))
        }
    }
}

/// A backup is gzip of records: a letter, and a BSON document, which begins with its length.
///
/// | letter | document |
/// | --- | --- |
/// | `H` | the header, first |
/// | `C` | `{collection}`: those that follow belong to it |
/// | `D` | a document of that collection as MongoDB has it |
/// | `E` | `{seal}`, last: HMAC-SHA-256 of all bytes before this letter, with a key from the swarm's password |
enum BackupRecord: UInt8 {
    case header = 0x48
    case collection = 0x43
    case document = 0x44
    case end = 0x45

    /// Bytes of a BSON document: MongoDB's largest, and what a snapshot may add to it.
    static let sizes = 5...(17 << 20)
}

/// Sums up a backup, so that what was changed in it shows.
struct BackupSeal: Sendable {
    private var sum: HMAC<SHA256>

    /// `key` is derived from the swarm's password.
    init(key: [UInt8]) { sum = HMAC<SHA256>(key: SymmetricKey(data: key)) }

    mutating func add(_ bytes: some Sequence<UInt8>) { sum.update(data: Array(bytes)) }

    var bytes: [UInt8] { Array(sum.finalize()) }
}
