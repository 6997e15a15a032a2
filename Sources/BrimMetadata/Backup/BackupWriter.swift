import BrimModel
import MongoDriver

/// Writes a backup as it comes. To be used by one task.
final class BackupWriter {
    /// Bytes gathered before they are compressed.
    private static let chunk = 256 * 1024

    private let compressor: Compressor
    private let sink: @Sendable ([UInt8]) async throws -> Void
    private var seal: BackupSeal
    private var waiting: [UInt8] = []
    /// Compressed bytes given to the sink so far.
    private(set) var written: Int64 = 0

    /// `key` is derived from the swarm's password.
    init(key: [UInt8], sink: @escaping @Sendable ([UInt8]) async throws -> Void) throws {
        compressor = try Compressor()
        seal = BackupSeal(key: key)
        self.sink = sink
    }

    func begin(_ header: BackupHeader) async throws { try await add(.header, header.document) }

    func begin(collection: String) async throws {
        try await add(.collection, ["collection": .string(collection)])
    }

    func add(_ document: BSONDocument) async throws { try await add(.document, document) }

    /// The end of the backup, and all bytes that wait.
    func end() async throws {
        try await flush()
        let bytes = try [BackupRecord.end.rawValue] + document(seal.bytes).bytes()
        try await compress(bytes, isLast: true)
    }

    private func document(_ seal: [UInt8]) -> BSONDocument { ["seal": .binary(BSONBinary(seal))] }

    private func add(_ record: BackupRecord, _ document: BSONDocument) async throws {
        waiting.append(record.rawValue)
        waiting += try document.bytes()
        if waiting.count >= Self.chunk { try await flush() }
    }

    private func flush() async throws {
        seal.add(waiting)
        try await compress(waiting, isLast: false)
        waiting.removeAll(keepingCapacity: true)
    }

    private func compress(_ bytes: [UInt8], isLast: Bool) async throws {
        var compressed: [UInt8] = []
        try compressor.add(bytes, isLast: isLast) { compressed += $0 }
        guard !compressed.isEmpty else { return }
        written += Int64(compressed.count)
        try await sink(compressed)
    }
}
