import BrimModel
import DequeModule
import NIOCore
import Synchronization

/// A bounded stream of bytes from one task to another: `send` waits while `capacity` bytes are under way.
final class BytePipe: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    typealias Failure = any Error

    private enum End {
        case open
        /// The sender is done: what is buffered is still delivered.
        case finished((any Error)?)
        /// The receiver went away: nothing more is taken.
        case closed
    }
    private struct State {
        var buffers = Deque<ByteBuffer>()
        var bytes = 0
        var end = End.open
        var sender: CheckedContinuation<Void, Never>?
        var receiver: CheckedContinuation<ByteBuffer?, any Error>?
    }
    private let state = Mutex(State())
    private let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    /// Hands bytes over, waiting for room. False when the receiver has gone.
    func send(_ buffer: ByteBuffer) async -> Bool {
        let isOpen = state.withLock { state -> Bool in
            guard case .open = state.end else { return false }
            if let receiver = state.receiver {
                state.receiver = nil
                receiver.resume(returning: buffer)
            } else {
                state.buffers.append(buffer)
                state.bytes += buffer.readableBytes
            }
            return true
        }
        guard isOpen else { return false }
        await withCheckedContinuation { continuation in
            let goesOn = state.withLock { state in
                guard case .open = state.end, state.bytes >= capacity else { return true }
                state.sender = continuation
                return false
            }
            if goesOn { continuation.resume() }
        }
        return true
    }

    /// No more bytes follow. An error reaches the receiver in place of the end.
    func finish(throwing error: (any Error)? = nil) {
        let receiver = state.withLock { state -> CheckedContinuation<ByteBuffer?, any Error>? in
            guard case .open = state.end else { return nil }
            state.end = .finished(error)
            defer { state.receiver = nil }
            return state.receiver
        }
        if let error { receiver?.resume(throwing: error) } else { receiver?.resume(returning: nil) }
    }

    /// The receiver takes no more; a waiting sender goes on.
    func close() {
        let (sender, receiver) = state.withLock { state in
            state.end = .closed
            state.buffers.removeAll()
            state.bytes = 0
            defer {
                state.sender = nil
                state.receiver = nil
            }
            return (state.sender, state.receiver)
        }
        sender?.resume()
        receiver?.resume(throwing: CancellationError())
    }

    struct AsyncIterator: AsyncIteratorProtocol {
        let pipe: BytePipe
        func next() async throws -> ByteBuffer? { try await pipe.receive() }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(pipe: self) }

    private func receive() async throws -> ByteBuffer? {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (answer, sender) = state.withLock { state in take(&state, for: continuation) }
                sender?.resume()
                if let answer { continuation.resume(with: answer) }
            }
        } onCancel: {
            close()
        }
    }

    /// What to answer at once (nil: the receiver waits) and a sender that may go on.
    private func take(
        _ state: inout State, for receiver: CheckedContinuation<ByteBuffer?, any Error>
    ) -> (Result<ByteBuffer?, any Error>?, CheckedContinuation<Void, Never>?) {
        if let buffer = state.buffers.popFirst() {
            state.bytes -= buffer.readableBytes
            guard state.bytes < capacity else { return (.success(buffer), nil) }
            defer { state.sender = nil }
            return (.success(buffer), state.sender)
        }
        switch state.end {
        case .finished(nil): return (.success(nil), nil)
        case .finished(let error?): return (.failure(error), nil)
        case .closed: return (.failure(CancellationError()), nil)
        case .open:
            state.receiver = receiver
            return (nil, nil)
        }
    }
}
