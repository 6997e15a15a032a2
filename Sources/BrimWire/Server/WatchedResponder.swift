import BrimModel
import Hummingbird
import Synchronization

/// Serves requests as long as what they need is there: when that is gone they end, and new ones within a moment,
/// instead of waiting for it longer than anybody waits for them.
struct WatchedResponder<Base: HTTPResponder>: HTTPResponder where Base.Context == BrimRequestContext {
    let base: Base
    let watch: RequestWatch

    func respond(to request: Request, context: BrimRequestContext) async throws -> Response {
        guard !openRoutes.contains(request.uri.path) else {
            return try await base.respond(to: request, context: context)
        }
        return try await watch.perform { try await base.respond(to: request, context: context) }
    }
}

/// The requests under way, each as a task that can be ended alone.
final class RequestWatch: Sendable {
    private struct State {
        var tasks: [Int: Task<Response, any Error>] = [:]
        var last = 0
        /// Why the requests ended that are listed in it.
        var ended: [Int: BrimError] = [:]
    }
    /// Between looks while what requests need is gone.
    private static let pause = Duration.milliseconds(50)
    private let state = Mutex(State())

    func perform(_ work: @escaping @Sendable () async throws -> Response) async throws -> Response {
        let task = Task(executorPreference: EventLoopExecutor.current, operation: work)
        let number = state.withLock { state in
            state.last += 1
            state.tasks[state.last] = task
            return state.last
        }
        let result = await withTaskCancellationHandler {
            await task.result
        } onCancel: {
            task.cancel()
        }
        let error = state.withLock { state in
            state.tasks[number] = nil
            return state.ended.removeValue(forKey: number)
        }
        let response = try result.mapError { error ?? $0 }.get()
        // What was done all the same is told; else why it was not.
        if let error, response.status.kind == .serverError { throw error }
        return response
    }

    /// Ends the requests under way each time `failure` returns, with the error that it returns. Runs until cancelled.
    func run(_ failure: @Sendable () async throws -> BrimError) async throws {
        while true {
            let error = try await failure()
            let tasks = state.withLock { state in
                for number in state.tasks.keys { state.ended[number] = error }
                return Array(state.tasks.values)
            }
            for task in tasks { task.cancel() }
            try await Task.sleep(for: Self.pause)
        }
    }
}
