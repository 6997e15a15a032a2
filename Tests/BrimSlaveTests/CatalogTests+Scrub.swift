import BrimModel
import BrimWire
import Foundation
import Testing

@testable import BrimSlave

extension CatalogTests {
    /// `catalog-1.sqlite` was written by the first version of the program: three confirmed blobs.
    @Test func opensACatalogOfVersionOne() async throws {
        let temporary = try TemporaryDirectory()
        defer { withExtendedLifetime(temporary) {} }
        let path = temporary.path + "/catalog.sqlite"
        let fixture = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/catalog-1.sqlite")
        try FileManager.default.copyItem(at: fixture, to: URL(filePath: path))
        for _ in 1...2 {
            let catalog = try Catalog(path: path, health: DiskHealth(logger: quiet()))
            let rows = try await catalog.page(after: nil, limit: 10).rows
            #expect(rows.map(\.label.name.text) == ["hello.txt", "zeros", "empty"])
            #expect(rows.map(\.size) == [5, 200_000, 0])
            #expect(rows.map(\.state) == [.confirmed, .confirmed, .confirmed])
            let hello = try #require(rows.first)
            #expect(hello.checksum == checksum(Array("hello".utf8)))
            #expect(try await catalog.row(rows[1].blob) { _ in 0..<4 }?.sums.count == 4)
            // What was written then was right then.
            #expect(try await catalog.lastVerified(hello.blob) == hello.created)
            #expect(try await catalog.oldestVerification() == hello.created)
            #expect(try await catalog.unverified(since: .max, limit: 10).map(\.blob) == rows.map(\.blob))
            try catalog.close()
        }
    }

    @Test func whatWaitsLongestIsVerifiedFirst() async throws {
        try await Disk.with { (disk: Disk) async throws in
            #expect(try await disk.catalog.oldestVerification() == nil)
            var blobs: [BlobID] = []
            for index in 0..<5 { blobs.append(try await disk.put(bytes(index))) }
            let now = Timestamp.now.milliseconds
            // Just written is just verified.
            #expect(try await disk.catalog.unverified(since: now - 60_000, limit: 9).isEmpty)
            for (index, blob) in blobs.enumerated() {
                try await disk.catalog.noteVerified([blob], at: Int64(1000 - index))
            }
            try await disk.catalog.noteVerified([], at: 0)
            #expect(try await disk.catalog.unverified(since: 999, limit: 2).map(\.blob) == [blobs[4], blobs[3]])
            #expect(try await disk.catalog.oldestVerification() == 996)
            try await disk.catalog.noteVerified([blobs[4], BlobIDs.shared.next()], at: now)
            #expect(try await disk.catalog.unverified(since: now, limit: 9).map(\.blob) == blobs.prefix(4).reversed())
            // A new label leaves it as it is.
            _ = try await disk.catalog.confirm([(blobs[0], nil)])
            #expect(try await disk.catalog.lastVerified(blobs[0]) == 1000)
        }
    }
}
