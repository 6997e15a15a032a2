import BrimModel
import BrimWire
import Logging
import Synchronization

/// Takes the leader's orders, one batch after the other: gives up blobs, reserves room for pulls and hands these on.
final class OrderDesk: Sendable {
    private let node: SlaveNode
    private let pulls: Pulls
    private let lock = AsyncLock()
    private let book: Mutex<OrderBook>

    init(node: SlaveNode, pulls: Pulls, book: OrderBook) {
        self.node = node
        self.pulls = pulls
        self.book = Mutex(book)
    }

    /// A master told the latest term: orders of lower ones are refused from now on, after a restart too.
    func learn(term: Int64) async throws {
        guard term > book.withLock({ $0.term }) else { return }
        _ = try await handle(OrderBatch(term: term, orders: [], leader: ""))
    }

    /// Throws `.conflict` for a term that is over, `.io` when the catalog cannot be written; then nothing was done.
    func handle(_ batch: OrderBatch) async throws -> OrderReply {
        try await lock.withLock {
            let (fresh, isNews) = try book.withLock { book in
                let order = batch.orders.enumerated().map { (sequence: $1.sequence, index: $0) }
                return (try book.fresh(order, term: batch.term).map { batch.orders[$0] }, batch.term > book.term)
            }
            if !fresh.isEmpty || isNews { try await carryOut(fresh, of: batch) }
            let refused = book.withLock { book in
                batch.orders.compactMap { order in
                    book.refusal(order.sequence).map { OrderReply.Refusal(sequence: order.sequence, error: $0) }
                }
            }
            return OrderReply(refused: refused, usage: node.quota.usage())
        }
    }

    private func carryOut(_ orders: [Order], of batch: OrderBatch) async throws {
        let victims = orders.flatMap(\.evict)
        pulls.cancel(victims)
        var changed = book.withLock { $0 }
        changed.record(orders.map(\.sequence), term: batch.term)
        let removed = try await node.catalog.carryOut(evicting: victims, reaching: changed.position)
        book.withLock { $0 = changed }
        await node.unlink(removed)
        if !removed.isEmpty {
            node.logger.debug(
                "blobs given up", metadata: ["blobs": "\(removed.count)", "term": "\(batch.term)"])
        }
        try await accept(orders, of: batch)
    }

    /// Reserves room for the pulls, in order.
    private func accept(_ orders: [Order], of batch: OrderBatch) async throws {
        var lastEviction: [BlobID: Int64] = [:]
        for order in orders { for blob in order.evict { lastEviction[blob] = order.sequence } }
        let known = try await node.catalog.known(orders.compactMap(\.pull?.blob))
        var jobs: [PullJob] = []
        for order in orders {
            guard let pull = order.pull else { continue }
            do {
                if let given = lastEviction[pull.blob], given > order.sequence {
                    throw BrimError(.conflict, "a later order gives the blob up again", retryable: false)
                }
                try node.health.check()
                let reservation = try node.quota.reserve(known[pull.blob] == nil ? pull.size : 0, for: .pull)
                jobs.append(
                    PullJob(
                        term: batch.term, leader: batch.leader, sequence: order.sequence, pull: pull,
                        reservation: reservation))
            } catch let error as NoRoom {
                let refusal = error.described(server: node.name)
                book.withLock { $0.refuse(order.sequence, refusal) }
            } catch let error as BrimError {
                book.withLock { $0.refuse(order.sequence, error) }
            }
        }
        // All at once, so that small ones are pulled together.
        pulls.add(jobs)
    }
}
