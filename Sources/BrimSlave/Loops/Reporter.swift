import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Tells a master everything this server holds, page by page, and settles what differs.
final class Reporter: BackgroundLoop {
    let worker = Worker("reports", unit: "blobs")

    private let node: SlaveNode
    /// Blobs in a page.
    private let page: Int
    private let isReporting = Atomic(false)
    private let signal = Signal()

    init(node: SlaveNode, page: Int = Limits.reportPageBlobs) {
        self.node = node
        self.page = page
    }

    /// Has a complete report made. `anew`: also when one is under way already.
    func request(anew: Bool) {
        if anew || !isReporting.load(ordering: .relaxed) { signal.raise() }
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await self.signal.wait()
                self.isReporting.store(true, ordering: .relaxed)
                await self.report()
                self.isReporting.store(false, ordering: .relaxed)
            }
        }
    }

    /// Makes a report. One that breaks off is begun anew, until it is done or this server is not known any more: then
    /// it joins again, and is asked again.
    private func report() async {
        var backoff = Backoff()
        while !Task.isCancelled {
            do {
                try await attempt()
                return worker.rests()
            } catch let error as BrimError where error.code == .notFound || error.code == .forgotten {
                return worker.rests()
            } catch {
                worker.failed(error)
                node.logger.debug("report broke off", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: backoff.next())
            }
        }
    }

    private func attempt() async throws {
        // What cannot be read is not held.
        try node.health.checkReadable()
        let begun = Timestamp.now
        var after: BlobID?
        var count = 0
        worker.begins("tells a master all that is here")
        while true {
            let (rows, position) = try await node.catalog.page(after: after, limit: page)
            // The last page runs to the end of all ids.
            let through = rows.count < page ? nil : rows.last?.blob
            let request = ReportPage(
                name: node.name, id: node.id, begun: begun, after: after, through: through, blobs: rows.map(\.report),
                position: position)
            let reply = try await node.masters.call("report", request, deadline: .seconds(60), as: ReportReply.self)
            try await node.settle(reply)
            count += rows.count
            worker.did(rows.count)
            guard let through else { break }
            after = through
        }
        node.logger.debug("reported", metadata: ["blobs": "\(count)"])
    }
}

extension SlaveNode {
    /// Does what a master answered to a report or to a question about pending blobs.
    func settle(_ reply: ReportReply) async throws {
        outbox.lost(try await catalog.confirm(reply.confirm.map { ($0, nil) }))
        try await remove(reply.delete)
        outbox.deleted(reply.delete)
        let known = try await catalog.known(reply.check)
        var lost: [BlobID] = []
        for blob in reply.check {
            guard let row = known[blob] else {
                lost.append(blob)
                continue
            }
            if try await !store.holds(blob, size: row.size) { try await missing(blob) }
        }
        outbox.lost(lost)
    }
}
