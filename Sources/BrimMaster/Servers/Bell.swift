import ServiceLifecycle
import Synchronization

/// Wakes one loop: rings that come while it works are remembered as one.
final class Bell: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let rung = Atomic(false)

    init() {
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    func ring() {
        rung.store(true, ordering: .sequentiallyConsistent)
        continuation.yield()
    }

    /// Whether it rang since the loop began its present round.
    var hasRung: Bool { rung.load(ordering: .sequentiallyConsistent) }

    /// Waits for a ring or until the time has passed; false when the service is to end.
    func wait(atMost limit: Duration) async -> Bool {
        guard !Task.isShuttingDownGracefully, !Task.isCancelled else { return false }
        let stream = stream
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { for await _ in stream { return } }
                group.addTask { try? await Task.sleep(for: limit) }
                await group.next()
                group.cancelAll()
            }
        }
        rung.store(false, ordering: .sequentiallyConsistent)
        return !Task.isShuttingDownGracefully && !Task.isCancelled
    }
}
