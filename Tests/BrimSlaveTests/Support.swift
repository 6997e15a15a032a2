import BrimModel
import BrimWire
import Foundation
import Logging
import NIOCore
import Testing

@testable import BrimSlave

/// A fresh directory, removed when the test lets go of it.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("brim-slave-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func names(_ folder: String) throws -> [String] { try POSIX.names(in: path + "/" + folder) }
}

func quiet() -> Logger {
    var logger = Logger(label: "test")
    logger.logLevel = ProcessInfo.processInfo.environment["BRIM_TEST_LOG"] == nil ? .critical : .debug
    return logger
}

/// Ids, one after the other.
final class BlobIDs: Sendable {
    static let shared = BlobIDs()
    private let generator = MutexBox(BlobIDGenerator())
    func next() -> BlobID { generator.withLock { $0.next(seconds: 1_800_000_000) } }
}

func bytes(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
    var state = seed &+ 0x9e37_79b9_7f4a_7c15
    return (0..<count).map { _ in
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt8(truncatingIfNeeded: state >> 33)
    }
}

func checksum(_ bytes: [UInt8]) -> Checksum {
    var sum = CRC32C()
    sum.update(bytes)
    return Checksum(crc32c: sum.value)
}

/// Waits until something holds, at most ten seconds.
func eventually(
    _ what: String, within limit: Duration = .seconds(10), sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        if ContinuousClock.now > end {
            Issue.record("never happened: \(what)", sourceLocation: sourceLocation)
            throw BrimError(.timeout, what)
        }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// The `BrimError` that `body` throws, if it does.
func failure(_ body: () async throws -> Void) async -> BrimError.Code? {
    do {
        try await body()
        return nil
    } catch let error as BrimError {
        return error.code
    } catch {
        Issue.record("not a BrimError: \(error)")
        return nil
    }
}

/// The parts of a slave that need no network, on a directory of their own.
struct Disk {
    let temporary: TemporaryDirectory
    let directory: DataDirectory
    let health = DiskHealth(logger: quiet())
    let io = BlockingIO(threads: 4)
    let store: BlobStore
    let catalog: Catalog

    init(_ temporary: TemporaryDirectory, syncsTogether: Bool = true) throws {
        self.temporary = temporary
        directory = try DataDirectory(path: temporary.path, name: nil)
        store = BlobStore(directory: directory, io: io, health: health, syncsTogether: syncsTogether)
        catalog = try Catalog(path: directory.catalog, health: health)
    }

    static func with(syncsTogether: Bool = true, _ body: (Disk) async throws -> Void) async throws {
        let disk = try Disk(try TemporaryDirectory(), syncsTogether: syncsTogether)
        try disk.store.prepare()
        try await body(disk)
        try disk.catalog.close()
        try await disk.io.shutdown()
    }

    func row(_ blob: BlobID, size: Int64 = 0, state: CatalogRow.State = .pending, created: Int64 = 0) throws
        -> CatalogRow
    {
        CatalogRow(
            blob: blob, state: state, label: try .unknown(blob), size: size, checksum: Checksum(crc32c: 7),
            created: created)
    }

    /// A blob on disk and in the catalog.
    func put(_ content: [UInt8]) async throws -> BlobID {
        let blob = BlobIDs.shared.next()
        var incoming = store.receive(blob)
        _ = try await incoming.append(ByteBuffer(bytes: content))
        try await incoming.install()
        var row = try row(blob, size: incoming.sums.size)
        row.checksum = incoming.sums.checksum
        try await catalog.insert(row, sums: incoming.sums.blocks)
        return blob
    }
}
