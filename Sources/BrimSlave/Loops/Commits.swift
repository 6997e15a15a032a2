import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Has writes committed by a master. Those that get ready while one request is under way go together in the next.
final class Commits: Service {
    private struct Waiting {
        var item: CommitRequest.Item
        /// The URL of the master to ask first.
        var master: String
        let outcome = Latch<Committed>()
    }
    /// Writes in one request.
    static let batch = 128
    /// Bytes of tokens in one request.
    static let batchBytes = 1 << 20
    private static let deadline = Duration.seconds(5)

    private let masters: MasterLink
    private let sender: @Sendable () -> (name: ServerName, id: String)
    private let waiting = Mutex<[Waiting]>([])
    private let signal = Signal()

    init(masters: MasterLink, sender: @escaping @Sendable () -> (name: ServerName, id: String)) {
        self.masters = masters
        self.sender = sender
    }

    /// Throws the refusal of a master, what kept all of them from answering, or `CancellationError` when the task is
    /// cancelled: then the write may be entered all the same.
    func commit(_ item: CommitRequest.Item, first master: String) async throws -> Committed {
        let write = Waiting(item: item, master: master)
        waiting.withLock { $0.append(write) }
        signal.raise()
        return try await write.outcome.get()
    }

    func run() async throws {
        await withGracefulShutdownHandler {
            while !Task.isCancelled {
                await signal.wait()
                while let batch = next() { await send(batch) }
                if Task.isShuttingDownGracefully { return }
            }
        } onGracefulShutdown: {
            self.signal.raise()
        }
    }

    /// The next writes that go to one master together, in the order they came.
    private func next() -> [Waiting]? {
        waiting.withLock { waiting in
            guard let master = waiting.first?.master else { return nil }
            var bytes = 0
            let batch = waiting.prefix(Self.batch).prefix { write in
                defer { bytes += write.item.token.utf8.count }
                return write.master == master && (bytes == 0 || bytes + write.item.token.utf8.count <= Self.batchBytes)
            }
            waiting.removeFirst(batch.count)
            return Array(batch)
        }
    }

    private func send(_ batch: [Waiting]) async {
        do {
            let (name, id) = sender()
            let reply = try await masters.call(
                "commit", CommitRequest(name: name, id: id, writes: batch.map(\.item)), first: batch.first?.master,
                deadline: Self.deadline, as: CommitReply.self)
            guard reply.writes.count == batch.count else {
                throw BrimError(.internal, "the master answered \(reply.writes.count) of \(batch.count) commits")
            }
            for (write, item) in zip(batch, reply.writes) {
                let failure = item.error ?? BrimError(.internal, "the master did not say what came of a commit")
                write.outcome.set(item.done.map { .success($0) } ?? .failure(failure))
            }
        } catch {
            for write in batch { write.outcome.set(.failure(error)) }
        }
    }
}
