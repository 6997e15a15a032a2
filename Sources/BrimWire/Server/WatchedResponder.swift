import BrimModel
import Hummingbird

/// Serves requests as long as what they need is there: when that is gone they end, and new ones are refused at once,
/// instead of waiting for it longer than anybody waits for them.
struct WatchedResponder<Base: HTTPResponder>: HTTPResponder where Base.Context == BrimRequestContext {
    let base: Base
    /// Runs beside each request but those that are open to all; the error that it returns ends the request.
    let failure: @Sendable () async throws -> BrimError

    func respond(to request: Request, context: BrimRequestContext) async throws -> Response {
        guard !openRoutes.contains(request.uri.path) else {
            return try await base.respond(to: request, context: context)
        }
        return try await withThrowingTaskGroup(of: Response.self) { group in
            group.addTask { try await base.respond(to: request, context: context) }
            group.addTask { throw try await failure() }
            defer { group.cancelAll() }
            guard let response = try await group.next() else { throw CancellationError() }
            return response
        }
    }
}
