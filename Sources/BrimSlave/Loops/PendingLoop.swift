import BrimModel
import BrimWire
import Foundation
import Logging
import ServiceLifecycle

/// Asks about blobs that were received long ago and never confirmed.
struct PendingLoop: Service {
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
                } catch {
                    node.logger.debug("pending blobs wait", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    private func ask(olderThan expiry: Duration) async throws {
        let before = Int64(Date().timeIntervalSince1970 * 1000) - expiry.wholeMilliseconds
        var place: (created: Int64, blob: BlobID)?
        while true {
            let found = try await node.catalog.pending(before: before, after: place, limit: Limits.reportPageBlobs)
            // Of these somebody is about to tell.
            let blobs = found.map(\.blob).filter { !node.receiving.isHeld($0) && !completions.isWaiting($0) }
            if !blobs.isEmpty {
                let reply = try await node.masters.call("pending", node.list(blobs), as: ReportReply.self)
                try await node.settle(reply)
            }
            guard found.count == Limits.reportPageBlobs, let last = found.last else { return }
            place = last
        }
    }
}
