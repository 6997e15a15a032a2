import BrimModel
import BrimWire
import Foundation
import Logging
import ServiceLifecycle

/// Asks about blobs that were received long ago and never confirmed.
struct PendingLoop: BackgroundLoop {
    let worker = Worker("pending blobs", unit: "blobs")
    let node: SlaveNode
    let membership: Membership
    let completions: Completions

    func run() async throws {
        let expiry = node.configuration.pendingExpiry
        let pause = min(.seconds(60), max(.milliseconds(50), expiry / 4))
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: pause)
                guard membership.isJoined else { continue }
                do {
                    try await ask(olderThan: expiry)
                    worker.rests(atMost: pause)
                } catch is CancellationError {
                    return
                } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
                    worker.failed(error, again: pause)
                    node.logger.debug("pending blobs wait", metadata: ["error": "\(error)"])
                } catch {
                    worker.failed(error, again: pause)
                    node.logger.warning("pending blobs cannot be settled", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    private func ask(olderThan expiry: Duration) async throws {
        let before = Int64(Date().timeIntervalSince1970 * 1000) - expiry.wholeMilliseconds
        var last: CatalogRow?
        while true {
            let found = try await node.catalog.pending(before: before, after: last, limit: Limits.reportPageBlobs)
            // Of the others somebody is about to tell.
            let silent = found.filter { !node.receiving.isHeld($0.blob) && !completions.isWaiting($0.blob) }
            if !silent.isEmpty {
                worker.begins("asks about \(silent.count) blobs")
                try await node.settlePending(silent.map(\.blob))
                worker.did(silent.count)
            }
            guard found.count == Limits.reportPageBlobs else { return }
            last = found.last
        }
    }
}

extension SlaveNode {
    /// Asks a master what is to become of pending blobs, and does it. Throws as the call does, or `.io`; then they stay.
    func settlePending(_ blobs: [BlobID]) async throws {
        let (rows, position) = try await catalog.pending(blobs)
        guard !rows.isEmpty else { return }
        let request = PendingRequest(name: name, id: id, blobs: rows.map(\.report), position: position)
        try await settle(try await masters.call("pending", request, as: ReportReply.self))
    }
}
