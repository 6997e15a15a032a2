import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Tells leaders how pulls ended, gathered, and does what they answer. Repeated until answered.
final class Completions: BackgroundLoop {
    let worker = Worker("completions", unit: "pulls")

    private struct Key: Hashable {
        var term: Int64
        var leader: String
    }
    private struct State {
        var waiting: [Key: [CompletionsRequest.Item]] = [:]
        /// Blobs whose fate is not known yet.
        var blobs: [BlobID: Int] = [:]
    }
    /// Items in one request.
    static let batch = 1000

    private let node: SlaveNode
    private let state = Mutex(State())
    private let signal = Signal()

    init(node: SlaveNode) { self.node = node }

    func add(_ job: PullJob, error: BrimError?, badSources: [ServerName]) {
        add([(job, error)], badSources: badSources)
    }

    func add(_ ended: [(job: PullJob, error: BrimError?)], badSources: [ServerName] = []) {
        state.withLock { state in
            for (job, error) in ended {
                state.waiting[Key(term: job.term, leader: job.leader), default: []]
                    .append(job.completion(error, badSources: badSources))
                state.blobs[job.pull.blob, default: 0] += 1
            }
        }
        signal.raise()
    }

    /// Whether a leader is still to be heard about this blob.
    func isWaiting(_ blob: BlobID) -> Bool { state.withLock { $0.blobs[blob] != nil } }

    func run() async throws {
        await signal.eachTime("completions wait", node.logger, worker) { try await self.send() }
    }

    private func send() async throws {
        while let (key, items) = state.withLock({ $0.waiting.first }) {
            let batch = Array(items.prefix(Self.batch))
            worker.begins("tells of \(batch.count) pulls that ended")
            let request = CompletionsRequest(
                name: node.name, id: node.id, term: key.term, items: batch, usage: node.quota.usage())
            do {
                let reply = try await node.masters.call(
                    "completions", request, first: key.leader, as: CompletionsReply.self)
                try await settle(reply, to: batch)
            } catch let error as BrimError where !error.isUndecided {
                // Nobody wants to hear it: what arrived is pending, and will be asked about as such.
                node.logger.debug("completions refused", metadata: ["error": "\(error)"])
            }
            forget(key, batch)
            worker.did(batch.count)
        }
    }

    /// What has been given up and pulled again since is another copy, of which another answer tells.
    private func settle(_ reply: CompletionsReply, to batch: [CompletionsRequest.Item]) async throws {
        let told = Dictionary(grouping: batch, by: \.blob).mapValues(\.count)
        let missing = try await node.catalog.confirm(reply.keep.map { ($0, nil) }) { [self] blob in
            node.receiving.isHeld(blob) || state.withLock { $0.blobs[blob] ?? 0 } > told[blob] ?? 0
        }
        node.outbox.lost(missing)
        try await node.removePending(reply.discard)
    }

    private func forget(_ key: Key, _ batch: [CompletionsRequest.Item]) {
        state.withLock { state in
            state.waiting[key]?.removeFirst(batch.count)
            if state.waiting[key]?.isEmpty == true { state.waiting[key] = nil }
            for item in batch {
                let left = (state.blobs[item.blob] ?? 1) - 1
                state.blobs[item.blob] = left > 0 ? left : nil
            }
        }
    }
}
