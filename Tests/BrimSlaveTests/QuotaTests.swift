import BrimModel
import Testing

@testable import BrimSlave

@Suite struct QuotaBookTests {
    @Test("Random concurrent writes and removals never exceed the quota")
    func neverExceeded() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        let limit: Int64 = 10_000
        let quota = Quota(QuotaBook(quota: limit, stored: 0, files: 0)) { 1 << 40 }
        let stored = MutexBox<[Int64]>([])
        let granted = try await withThrowingTaskGroup(of: Int.self) { group in
            for worker in 0..<8 {
                group.addTask {
                    var random = Random(seed &+ UInt64(worker))
                    var granted = 0
                    for _ in 0..<2000 {
                        switch Int.random(in: 0..<4, using: &random) {
                        case 0:
                            let size = stored.withLock { $0.popLast() }
                            if let size { quota.remove(files: 1, bytes: size) }
                        default:
                            let size = Int64.random(in: 0...1500, using: &random)
                            guard let reservation = try? quota.reserve(size, for: .write) else { break }
                            granted += 1
                            reservation.wrote(size / 2)
                            let usage = quota.usage()
                            #expect(usage.used <= limit)
                            await Task.yield()
                            if Bool.random(using: &random) {
                                reservation.store(size)
                                stored.withLock { $0.append(size) }
                            }
                        }
                        let usage = quota.usage()
                        #expect(usage.used <= limit && usage.reserved >= 0 && usage.reserved <= usage.used)
                    }
                    return granted
                }
            }
            return try await group.reduce(0, +)
        }
        let usage = quota.usage()
        #expect(granted > 1000)
        #expect(usage.reserved == 0)
        #expect(usage.used == stored.current.reduce(0, +))
        #expect(usage.files == Int64(stored.current.count))
    }

    @Test func smallQuotaIsExact() throws {
        let quota = Quota(QuotaBook(quota: 10, stored: 0, files: 0)) { 1 << 40 }
        let ten = try quota.reserve(10, for: .write)
        #expect(throws: NoRoom(needed: 1, missing: 1)) { try quota.reserve(1, for: .write) }
        #expect(throws: Never.self) { try quota.reserve(0, for: .write) }
        ten.store(4)
        #expect(throws: NoRoom(needed: 7, missing: 1)) { try quota.reserve(7, for: .write) }
        _ = try quota.reserve(6, for: .write)
    }

    @Test func loweredBelowUseGrantsNothing() throws {
        var book = QuotaBook(quota: 100, stored: 80, files: 2)
        book.setQuota(50)
        #expect(book.free(available: 1000) == 0)
        #expect(book.reserve(1, for: .write, available: 1000) == 1)
        book.remove(files: 1, bytes: 40)
        #expect(book.reserve(10, for: .write, available: 1000) == 0)
        #expect(book.used == 50)
    }

    /// A reader that misses the blob while it is moved to quarantine takes it off the account first, or last.
    @Test func quarantinedBytesCountWhoeverTakesTheBlobOff() throws {
        for isMissedFirst in [true, false, nil] {
            var book = QuotaBook(quota: 100, stored: 50, files: 3)
            if isMissedFirst == true { book.remove(files: 1, bytes: 20) }
            book.quarantine(isMissedFirst == nil ? 20 : nil, keeping: 15)
            if isMissedFirst == false { book.remove(files: 1, bytes: 20) }
            #expect(book.used == 45 && book.files == 2)
        }
    }

    @Test("What is promised and not yet written counts against the disk")
    func diskBounds() throws {
        var book = QuotaBook(quota: 1000, stored: 0, files: 0)
        #expect(book.reserve(60, for: .write, available: 100) == 0)
        #expect(book.reserve(60, for: .write, available: 100) == 20)
        book.wrote(60)
        #expect(book.diskFree(available: 40) == 40)
        #expect(book.reserve(40, for: .write, available: 40) == 0)
    }

    @Test func countRisesWithEachChange() throws {
        let quota = Quota(QuotaBook(quota: 100, stored: 0, files: 0)) { 1 << 40 }
        let first = quota.usage()
        try quota.reserve(5, for: .write).store(5)
        let second = quota.usage()
        #expect(second.count > first.count && second.boot == first.boot)
        #expect(quota.set(50) && !quota.set(50))
        #expect(quota.usage().count > second.count)
    }

    @Test func settings() throws {
        #expect(try QuotaSetting(parsing: "80%").bytes(ofDisk: 1000) == 800)
        #expect(try QuotaSetting(parsing: "10") == .bytes(10))
        #expect(try QuotaSetting(parsing: "1G") == .bytes(1_000_000_000))
        for text in ["0%", "101%", "x%", "ten", ""] {
            #expect(throws: BrimError.self, "\(text)") { try QuotaSetting(parsing: text) }
        }
        #expect(QuotaSetting.share(0.8).description == "80%")
    }
}

struct Random: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        // splitmix64
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
