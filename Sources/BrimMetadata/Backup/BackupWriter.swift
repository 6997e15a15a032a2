import BrimModel
import MongoDriver

/// Writes a backup as it comes. To be used by one task.
final class BackupWriter {
    /// Bytes gathered before they are compressed.
    private static let chunk = 256 * 1024

    private let compressor: Compressor
    private let sink: ([UInt8]) throws -> Void
    private var seal: BackupSeal
    private var waiting: [UInt8] = []
    /// Compressed bytes given to the sink so far.
    private(set) var written: Int64 = 0

    /// `key` is derived from the swarm's password.
    init(key: [UInt8], sink: @escaping ([UInt8]) throws -> Void) throws {
        compressor = try Compressor()
        seal = BackupSeal(key: key)
        self.sink = sink
    }

    func begin(_ header: BackupHeader) throws { try add(.header, header.document) }

    func begin(collection: String) throws { try add(.collection, ["collection": .string(collection)]) }

    func add(_ document: BSONDocument) throws { try add(.document, document) }

    /// The end of the backup, and all bytes that wait.
    func end() throws {
        try flush()
        let bytes = try [BackupRecord.end.rawValue] + document(seal.bytes).bytes()
        try compress(bytes, isLast: true)
    }

    private func document(_ seal: [UInt8]) -> BSONDocument { ["seal": .binary(BSONBinary(seal))] }

    private func add(_ record: BackupRecord, _ document: BSONDocument) throws {
        waiting.append(record.rawValue)
        waiting += try document.bytes()
        if waiting.count >= Self.chunk { try flush() }
    }

    private func flush() throws {
        seal.add(waiting)
        try compress(waiting, isLast: false)
        waiting.removeAll(keepingCapacity: true)
    }

    private func compress(_ bytes: [UInt8], isLast: Bool) throws {
        try compressor.add(bytes, isLast: isLast) { compressed in
            written += Int64(compressed.count)
            try sink(compressed)
        }
    }
}
