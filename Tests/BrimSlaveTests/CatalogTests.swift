import BrimModel
import BrimWire
import Foundation
import Testing

@testable import BrimSlave

@Suite struct CatalogTests {
    @Test("Changes that arrive together share transactions")
    func gathers() async throws {
        try await Disk.with { (disk: Disk) async throws in
            let before = disk.catalog.transactions
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<400 {
                    let row = try disk.row(BlobIDs.shared.next())
                    group.addTask { try await disk.catalog.insert(row, sums: [1, 2]) }
                }
                try await group.waitForAll()
            }
            #expect(try await disk.catalog.sizes().count == 400)
            #expect(disk.catalog.transactions - before < 200)
        }
    }

    @Test func survivesReopening() async throws {
        let temporary = try TemporaryDirectory()
        defer { withExtendedLifetime(temporary) {} }
        let blob = BlobIDs.shared.next()
        let path = temporary.path + "/catalog.sqlite"
        let health = DiskHealth(logger: quiet())
        let label = BlobLabel(
            file: FileID(5), parent: FileID(1), name: try EntryName("söng"), rev: 3, n: 2,
            attributes: ["popularity": .int(9), "note": .string("x")])
        let row = CatalogRow(
            blob: blob, state: .confirmed, label: label, size: 200_000, checksum: Checksum(crc32c: .max), created: 17)
        do {
            let catalog = try Catalog(path: path, health: health)
            try await catalog.insert(row, sums: [1, 2, 3, 0xffff_ffff])
            _ = try await catalog.carryOut(evicting: [], reaching: OrderPosition(term: 7, sequence: 4))
            try catalog.close()
        }
        let catalog = try Catalog(path: path, health: health)
        #expect(try await catalog.row(blob) == row)
        let found = try await catalog.row(blob) { _ in 2..<4 }
        #expect(found?.sums == [3, 0xffff_ffff])
        #expect(try await catalog.position() == OrderPosition(term: 7, sequence: 4))
        let after = OrderPosition(term: 8, sequence: 1)
        _ = try await catalog.carryOut(evicting: [blob], reaching: after)
        #expect(try await catalog.page(after: nil, limit: 1).position == after)
        #expect(try await catalog.row(blob) == nil)
        try catalog.close()
    }

    @Test func pagesInOrderWithoutGaps() async throws {
        try await Disk.with { (disk: Disk) async throws in
            var blobs: [BlobID] = []
            for _ in 0..<25 {
                blobs.append(BlobIDs.shared.next())
                try await disk.catalog.insert(try disk.row(try #require(blobs.last)), sums: [])
            }
            var seen: [BlobID] = []
            while true {
                let page = try await disk.catalog.page(after: seen.last, limit: 10).rows
                if page.isEmpty { break }
                seen += page.map(\.blob)
            }
            #expect(seen == blobs.sorted())
        }
    }

    /// Those of certain files, in pages that look at few rows each.
    @Test func pagesOfWhatIsLabelledWithCertainFiles() async throws {
        try await Disk.with { (disk: Disk) async throws in
            var blobs: [(blob: BlobID, file: Int64)] = []
            for number in 0..<25 {
                let blob = BlobIDs.shared.next()
                try await disk.catalog.insert(try disk.row(blob), sums: [])
                let label = BlobLabel(
                    file: FileID(Int64(number % 10)), parent: FileID(1), name: try EntryName("a"), rev: 2, n: 3,
                    attributes: [:])
                _ = try await disk.catalog.confirm([(blob, label)])
                blobs.append((blob, Int64(number % 10)))
            }
            let wanted = blobs.filter { (3...5).contains($0.file) }.map(\.blob).sorted()
            for (scanned, limit) in [(1, 100), (4, 100), (7, 2), (25, 100), (1000, 1), (1000, 1000)] {
                var (seen, next, pages): ([BlobID], BlobID?, Int) = ([], nil, 0)
                repeat {
                    let page = try await disk.catalog.page(of: 3...5, after: next, limit: limit, scanned: scanned)
                    #expect(page.rows.count <= limit)
                    seen += page.rows.map(\.blob)
                    (next, pages) = (page.next, pages + 1)
                } while next != nil && pages <= 30
                #expect(seen == wanted, "\(scanned) rows, \(limit) in a page")
                #expect(pages <= 26)
            }
        }
    }

    @Test func confirmsWhatIsThere() async throws {
        try await Disk.with { (disk: Disk) async throws in
            let (here, gone) = (BlobIDs.shared.next(), BlobIDs.shared.next())
            try await disk.catalog.insert(try disk.row(here, size: 3), sums: [])
            let label = BlobLabel(
                file: FileID(9), parent: FileID(1), name: try EntryName("a"), rev: 2, n: 3, attributes: [:])
            #expect(try await disk.catalog.confirm([(here, label), (gone, nil)]) == [gone])
            #expect(try await disk.catalog.row(here)?.state == .confirmed)
            #expect(try await disk.catalog.row(here)?.label == label)
            #expect(try await disk.catalog.remove([here], onlyPending: true).isEmpty)
            #expect(try await disk.catalog.remove([here, gone]) == [here: 3])
        }
    }

    @Test func pendingOldestFirst() async throws {
        try await Disk.with { (disk: Disk) async throws in
            let blobs = (0..<5).map { _ in BlobIDs.shared.next() }
            for (index, blob) in blobs.enumerated() {
                try await disk.catalog.insert(try disk.row(blob, created: Int64(100 - index)), sums: [])
            }
            _ = try await disk.catalog.confirm([(blobs[4], nil)])
            let first = try await disk.catalog.pending(before: 100, after: nil, limit: 2)
            #expect(first.map(\.blob) == [blobs[3], blobs[2]])
            let second = try await disk.catalog.pending(before: 100, after: first.last, limit: 2)
            #expect(second.map(\.blob) == [blobs[1]])
        }
    }
}
