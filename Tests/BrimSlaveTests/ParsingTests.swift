import BrimModel
import BrimWire
import NIOCore
import Testing

@testable import BrimSlave

@Suite struct ByteRangeTests {
    @Test(arguments: [
        ("bytes=0-0", ByteRange.part(0..<1)), ("bytes=10-", .part(10..<100)), ("bytes=-5", .part(95..<100)),
        ("bytes=-500", .part(0..<100)), ("bytes=90-1000", .part(90..<100)), ("bytes=99-99", .part(99..<100)),
        ("Bytes= 1-2", .part(1..<3)), ("bytes=100-", .unsatisfiable), ("bytes=100-200", .unsatisfiable),
        ("bytes=-0", .unsatisfiable), ("bytes=5-4", .whole), ("bytes=0-1,5-6", .whole), ("bytes=-", .whole),
        ("bytes=a-b", .whole), ("items=0-1", .whole), ("bytes", .whole), ("bytes=5", .whole),
        ("bytes=99999999999999999999-", .unsatisfiable), ("bytes=0-99999999999999999999", .part(0..<100)),
    ])
    func parses(header: String, range: ByteRange) { #expect(ByteRange(header, size: 100) == range) }

    @Test func emptyFile() {
        #expect(ByteRange("bytes=0-", size: 0) == .unsatisfiable)
        #expect(ByteRange("bytes=-1", size: 0) == .unsatisfiable)
        #expect(ByteRange(nil, size: 0) == .whole)
    }

    @Test func entityTags() {
        #expect(EntityTags.list("\"a\", W/\"b\"", contains: "\"b\""))
        #expect(EntityTags.list("*", contains: "\"b\""))
        #expect(!EntityTags.list("\"a\"", contains: "\"b\""))
    }
}

@Suite struct LoadSampleTests {
    private static let stat1 = "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0 0 0\n"
    private static let stat2 = "cpu  150 0 125 900 25 0 0 0 0 0\n"
    private static func net(_ received: Int, _ sent: Int) -> String {
        """
        Inter-|   Receive                                                |  Transmit
         face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
            lo: 99999999999 1 0 0 0 0 0 0 99999999999 1 0 0 0 0 0 0
          eth0: \(received) 1 0 0 0 0 0 0 \(sent) 1 0 0 0 0 0 0
        """
    }
    private static func disks(_ busy: Int) -> String {
        "   8       0 sda 1 2 3 4 5 6 7 8 0 999999 9\n   8       1 sda1 1 2 3 4 5 6 7 8 0 \(busy) 9 0 0\n"
    }

    @Test func shares() {
        let first = LoadSample(
            stat: Self.stat1, net: Self.net(0, 0), disks: Self.disks(100), device: (8, 1), seconds: 10)
        let second = LoadSample(
            stat: Self.stat2, net: Self.net(12_500_000, 25_000_000), disks: Self.disks(600), device: (8, 1), seconds: 12
        )
        let shares = second.shares(since: first) { $0 == "eth0" ? 1000 : nil }
        #expect(shares.cpu == 75.0 / 200)
        #expect(abs(shares.network - 0.1) < 1e-9)
        #expect(shares.disk == 0.25)
        let slow = second.shares(since: first) { _ in 10 }
        #expect(slow.network == 1)
    }

    @Test func nothingKnown() {
        let first = LoadSample(stat: "", net: "", disks: "", device: (0, 0), seconds: 1)
        let second = LoadSample(stat: "rubbish", net: "a: b", disks: "8 0", device: (8, 0), seconds: 2)
        let shares = second.shares(since: first) { _ in nil }
        #expect(shares.cpu == 0 && shares.network == 0 && shares.disk == 0)
        #expect(first.shares(since: second) { _ in nil }.cpu == 0)
    }

    @Test func thisMachine() throws {
        let temporary = try TemporaryDirectory()
        var meter = LoadMeter(directory: temporary.path)
        let load = meter.measure(transfers: 3)
        #expect((0...1).contains(load.peak) && load.transfers == 3)
    }
}

@Suite struct OrderBookTests {
    private func fresh(_ book: OrderBook, _ sequences: [Int64], term: Int64) throws -> [Int] {
        try book.fresh(sequences.enumerated().map { (sequence: $1, index: $0) }, term: term)
    }

    @Test func orders() throws {
        var book = OrderBook(OrderPosition(term: 0, sequence: 0))
        #expect(try fresh(book, [3, 1, 2, 2], term: 1) == [1, 2, 0])
        book.record([1, 2, 3], term: 1)
        book.refuse(2, BrimError(.full, "full"))
        #expect(book.position == OrderPosition(term: 1, sequence: 3))
        #expect(try fresh(book, [1, 4, 2], term: 1) == [1])
        #expect(book.refusal(2)?.code == .full)
        #expect(throws: BrimError.self) { try fresh(book, [5], term: 0) }
        book.record([], term: 2)
        #expect(book.refusal(2) == nil)
        #expect(try fresh(book, [1], term: 2) == [0])
        #expect(throws: BrimError.self) { try fresh(book, [5], term: 1) }
    }

    @Test("A batch that comes after a later one is not carried out any more")
    func lateOrders() throws {
        var book = OrderBook(OrderPosition(term: 1, sequence: 2))
        book.record([7, 8], term: 1)
        #expect(try fresh(book, [5, 6], term: 1) == [])
        #expect(try fresh(book, [8, 9], term: 1) == [1])
        // An order of nothing moves on, too.
        book.record([9], term: 1)
        #expect(book.position.sequence == 9)
    }
}

@Suite struct BytePipeTests {
    @Test func deliversInOrderAndWaitsForTheReader() async throws {
        let pipe = BytePipe(capacity: 10)
        let sent = MutexBox(0)
        async let received: [UInt8] = {
            var all: [UInt8] = []
            for try await part in pipe {
                #expect(sent.current - all.count <= 10 + 4 * 2)
                all += Array(part.readableBytesView)
                await Task.yield()
            }
            return all
        }()
        for index in 0..<200 {
            let part = [UInt8](repeating: UInt8(index), count: 4)
            #expect(await pipe.send(ByteBuffer(bytes: part)))
            sent.withLock { $0 += 4 }
        }
        pipe.finish()
        #expect(try await received == (0..<200).flatMap { [UInt8](repeating: UInt8($0), count: 4) })
    }

    @Test func aGoneReaderFreesTheSender() async throws {
        let pipe = BytePipe(capacity: 1)
        async let second = pipe.send(ByteBuffer(bytes: [1, 2]))
        try await Task.sleep(for: .milliseconds(20))
        pipe.close()
        _ = await second
        #expect(await !pipe.send(ByteBuffer(bytes: [3])))
    }

    @Test func errorsReachTheReader() async throws {
        let pipe = BytePipe(capacity: 100)
        _ = await pipe.send(ByteBuffer(bytes: [1]))
        pipe.finish(throwing: BrimError(.invalid, "x"))
        let iterator = pipe.makeAsyncIterator()
        #expect(try await iterator.next() == ByteBuffer(bytes: [1]))
        #expect(await failure { _ = try await iterator.next() } == .invalid)
    }
}
