import NIOCore
import Synchronization

/// Watches whether the peer of an upload still takes what it is sent.
final class UploadProgress: Sendable {
    private struct State {
        /// Since when the peer is awaited; nil while the source is.
        var waitingSince: ContinuousClock.Instant? = .now
        var sourceError: (any Error)?
    }
    private let state = Mutex(State())

    /// What the source of the body threw.
    var sourceError: (any Error)? { state.withLock { $0.sourceError } }

    func sourceAwaited() { state.withLock { $0.waitingSince = nil } }
    func sourceAnswered() { state.withLock { $0.waitingSince = .now } }
    func sourceFailed(_ error: any Error) { state.withLock { $0.sourceError = error } }

    /// Returns once the peer has been awaited for `limit` without a break.
    func waitUntilIdle(for limit: Duration) async throws {
        while true {
            let deadline = (state.withLock { $0.waitingSince } ?? .now) + limit
            if deadline <= .now { return }
            try await Task.sleep(until: deadline, clock: .continuous)
        }
    }
}

/// A body that tells when its next part is asked for, and when it came.
struct WatchedBody<Base: AsyncSequence & Sendable>: AsyncSequence, Sendable where Base.Element == ByteBuffer {
    let base: Base
    let progress: UploadProgress

    struct AsyncIterator: AsyncIteratorProtocol {
        var base: Base.AsyncIterator
        let progress: UploadProgress

        mutating func next() async throws -> ByteBuffer? {
            progress.sourceAwaited()
            defer { progress.sourceAnswered() }
            do {
                return try await base.next()
            } catch {
                progress.sourceFailed(error)
                throw error
            }
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(base: base.makeAsyncIterator(), progress: progress) }
}
