import BrimModel
import NIOPosix

/// Threads for calls that block. Unlike the pool it wraps, work handed in is always done, also for a cancelled task:
/// half of a write's steps must never be skipped.
final class BlockingIO: Sendable {
    private let pool: NIOThreadPool

    init(threads: Int) {
        pool = NIOThreadPool(numberOfThreads: threads)
        pool.start()
    }

    /// Runs `work` on a thread of the pool. Throws what it throws, `.unavailable` after `shutdown`.
    func run<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            pool.submit { state in
                switch state {
                case .active: continuation.resume(with: Result { try work() })
                case .cancelled:
                    continuation.resume(throwing: BrimError(.unavailable, "the slave is shutting down"))
                }
            }
        }
    }

    func shutdown() async throws { try await pool.shutdownGracefully() }
}
