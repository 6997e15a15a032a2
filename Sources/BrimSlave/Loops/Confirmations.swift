import BrimModel
import BrimWire
import Logging
import NIOHTTP1
import ServiceLifecycle
import Synchronization

/// Marks committed blobs as confirmed, here and on the other targets of their writes, gathered. One that gets lost is
/// settled when the pending blob is asked about.
final class Confirmations: Service {
    private struct Queue {
        var own: [ConfirmRequest.Item] = []
        var others: [Peer: [ConfirmRequest.Item]] = [:]
        var count = 0
    }
    /// Confirmations that may wait; more are dropped.
    static let limit = 65_536
    /// Confirmations in one request.
    static let batch = 1000
    /// Commits are confirmed together for so long. There is no hurry: it only spares asking about them much later.
    private static let gathering = Duration.milliseconds(250)

    private let catalog: Catalog
    private let peers: PeerClient
    private let token: @Sendable () throws -> String
    private let logger: Logger
    private let queue = Mutex(Queue())
    private let signal = Signal()

    init(catalog: Catalog, peers: PeerClient, logger: Logger, token: @escaping @Sendable () throws -> String) {
        self.catalog = catalog
        self.peers = peers
        self.token = token
        self.logger = logger
    }

    /// A write is committed on this server and on `others`.
    func add(_ blob: BlobID, _ label: BlobLabel, others: [Peer]) {
        let item = ConfirmRequest.Item(blob: blob, label: label)
        queue.withLock { queue in
            guard queue.count < Self.limit else { return }
            queue.own.append(item)
            for peer in others { queue.others[peer, default: []].append(item) }
            queue.count += 1 + others.count
        }
        signal.raise()
    }

    func run() async throws {
        await withGracefulShutdownHandler {
            while !Task.isCancelled {
                await signal.wait()
                if !Task.isShuttingDownGracefully { try? await Task.sleep(for: Self.gathering) }
                await flush()
                if Task.isShuttingDownGracefully { return }
            }
        } onGracefulShutdown: {
            self.signal.raise()
        }
    }

    private func flush() async {
        let taken = queue.withLock { queue in
            defer { queue = Queue() }
            return queue
        }
        do {
            for start in stride(from: 0, to: taken.own.count, by: Self.batch) {
                let items = taken.own[start..<min(start + Self.batch, taken.own.count)]
                _ = try await catalog.confirm(items.map { ($0.blob, $0.label) })
            }
        } catch {
            logger.debug("confirmations lost", metadata: ["error": "\(error)"])
        }
        await withDiscardingTaskGroup { group in
            for (peer, items) in taken.others { group.addTask { await self.send(items, to: peer) } }
        }
    }

    private func send(_ items: [ConfirmRequest.Item], to peer: Peer) async {
        do {
            for start in stride(from: 0, to: items.count, by: Self.batch) {
                let batch = Array(items[start..<min(start + Self.batch, items.count)])
                _ = try await peers.call(
                    .POST, "http://\(peer.address)/v1/confirm", body: ConfirmRequest(items: batch),
                    token: try token(), deadline: .seconds(3), as: Empty.self)
            }
        } catch {
            logger.debug(
                "confirmations lost", metadata: ["server.name": "\(peer.server)", "error": "\(error)"])
        }
    }
}
