import BrimModel
import BrimWire
import Testing

@testable import BrimSlave

@Suite struct PullQueueTests {
    private let quota = Quota(QuotaBook(quota: 1 << 40, stored: 0, files: 0), available: { 1 << 40 })

    private func job(_ sequence: Int64, size: Int64 = 1, from sources: String...) throws -> PullJob {
        let blob = BlobIDs.shared.next()
        return PullJob(
            term: 1, leader: "http://master", sequence: sequence,
            pull: Order.Pull(
                blob: blob, size: size, checksum: Checksum(crc32c: 0), label: try .unknown(blob),
                sources: try sources.map { Peer(server: try ServerName(validating: $0), address: "\($0):1") }),
            reservation: try quota.reserve(0, for: .pull))
    }

    private func drain(_ queue: inout PullQueue) -> [[Int64]] {
        var batches: [[Int64]] = []
        while let batch = queue.next() { batches.append(batch.map(\.sequence)) }
        return batches
    }

    @Test func smallOnesOfOneSourceGoTogetherAndTheOldestFirst() throws {
        var queue = PullQueue()
        queue.append(try job(1, from: "a", "b"))
        queue.append(try job(2, from: "b"))
        queue.append(try job(3, size: Limits.smallBlobBytes + 1, from: "a"))
        queue.append(try job(4, size: Limits.smallBlobBytes, from: "a"))
        queue.append(try job(5, from: "b"))
        queue.append(try job(6), alone: true)
        queue.append(try job(7, from: "a"), alone: true)
        queue.append(try job(8, from: "a"))
        #expect(queue.count == 8)
        #expect(drain(&queue) == [[1, 4, 8], [2, 5], [3], [6], [7]])
        #expect(queue.count == 0)
    }

    @Test func aBatchHasBounds() throws {
        var queue = PullQueue()
        for sequence in 1...Int64(Limits.copyBatchBlobs + 1) { queue.append(try job(sequence, from: "a")) }
        #expect(drain(&queue).map(\.count) == [Limits.copyBatchBlobs, 1])
        for sequence in 1...Int64(100) { queue.append(try job(sequence, size: Limits.smallBlobBytes, from: "a")) }
        #expect(drain(&queue).map(\.count) == [64, 36])
    }

    @Test func whatHasNoSourceIsHandedOutToo() throws {
        var queue = PullQueue()
        queue.append(try job(1))
        #expect(drain(&queue) == [[1]])
    }
}
