import BrimModel
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// The routes that are open to all.
let openRoutes: Set<String> = ["/healthz", "/readyz"]

/// A router that logs requests, renders errors and knows callers, with `GET /healthz`. Every GET route answers HEAD too,
/// unless it is given a HEAD route of its own.
public func brimRouter(keys: SwarmKeys, logger: Logger) -> Router<BrimRequestContext> {
    let router = Router(context: BrimRequestContext.self, options: [.autoGenerateHeadEndpoints])
    router.add(middleware: RequestLog())
    router.add(middleware: ErrorRenderer())
    router.add(middleware: Authenticator(keys: keys))
    router.get("/healthz") { _, _ in
        Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
            body: ResponseBody(byteBuffer: ByteBuffer(string: "ok\n")))
    }
    logger.trace("router made")
    return router
}

extension RouterMethods where Context == BrimRequestContext {
    /// Registers a handler for a prefix and everything below it: `/v1/list`, `/v1/list/` and `/v1/list/a/b`.
    @discardableResult
    public func onTree(
        _ prefix: String, method: HTTPRequest.Method,
        use handler: @Sendable @escaping (Request, BrimRequestContext) async throws -> Response
    ) -> Self {
        on(RouterPath(prefix), method: method, use: handler)
        on(RouterPath(prefix + "/**"), method: method, use: handler)
        return self
    }
}

/// Logs each request at `debug`: neither queries nor tokens.
struct RequestLog: RouterMiddleware {
    func handle(
        _ request: Request, context: BrimRequestContext,
        next: (Request, BrimRequestContext) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        let response = try await next(request, context)
        context.logger.debug(
            "request",
            metadata: [
                "http.method": "\(request.method)", "http.path": "\(request.uri.path)",
                "http.status": "\(response.status.code)", "duration": "\(ContinuousClock.now - start)",
            ])
        return response
    }
}

/// Turns thrown errors into responses.
struct ErrorRenderer: RouterMiddleware {
    func handle(
        _ request: Request, context: BrimRequestContext,
        next: (Request, BrimRequestContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch {
            return try errorResponse(error, to: request, logger: context.logger)
        }
    }
}

/// Finds out who asks, from `Authorization: Bearer TOKEN` or `?token=TOKEN`. The latter wins: who follows a redirect
/// may still send the header meant for the place that redirected.
struct Authenticator: RouterMiddleware {
    let keys: SwarmKeys

    func handle(
        _ request: Request, context: BrimRequestContext,
        next: (Request, BrimRequestContext) async throws -> Response
    ) async throws -> Response {
        guard !openRoutes.contains(request.uri.path), let token = try token(of: request) else {
            return try await next(request, context)
        }
        var context = context
        do {
            context.caller = try keys.verify(token)
        } catch {
            context.logger.info("request with a bad token refused", metadata: ["reason": "\(error)"])
            throw error
        }
        context.token = token
        return try await next(request, context)
    }

    private func token(of request: Request) throws -> String? {
        if let token = try request.query("token") { return token }
        guard let header = request.headers[.authorization] else { return nil }
        // Tokens are long: by bytes, not by characters.
        let space = UInt8(ascii: " ")
        let scheme = header.utf8.prefix { $0 != space }
        // Another scheme is as good as a token that says nothing.
        guard scheme.count < header.utf8.count, Substring(scheme).lowercased() == "bearer" else { return "" }
        var token = header.utf8[scheme.endIndex...].drop { $0 == space }
        while token.last == space { token.removeLast() }
        return String(Substring(token))
    }
}
