import BrimModel
import HTTPTypes
import Hummingbird

/// Answers 405 with `Allow` where a path is known but not with this method; the router alone says 404.
struct MethodResponder<Base: HTTPResponder>: HTTPResponder where Base.Context == BrimRequestContext {
    let base: Base
    private let routes: [(path: RouterPath, method: String)]

    init(base: Base, routes: [Router<BrimRequestContext>.RouteDescription]) {
        self.base = base
        self.routes = routes.map { ($0.path, $0.method.rawValue) }
    }

    func respond(to request: Request, context: BrimRequestContext) async throws -> Response {
        let response = try await base.respond(to: request, context: context)
        // A route that says "not found" itself has left its path in the context.
        guard response.status == .notFound, context.endpointPath == "NotFound" else { return response }
        let methods = allowed(at: request.uri.path)
        guard !methods.isEmpty else { return response }
        let error = BrimError(.unsupported, "\(request.method) is not offered at \(request.uri.path)")
        var refusal = try errorResponse(error, to: request, logger: context.logger)
        refusal.headers[.allow] = methods.joined(separator: ", ")
        return refusal
    }

    private func allowed(at path: String) -> [String] {
        let components = path.split(separator: "/")
        var methods = Set(routes.filter { Self.matches($0.path, components) }.map(\.method))
        if methods.contains("GET") { methods.insert("HEAD") }
        return methods.sorted()
    }

    private static func matches(_ route: RouterPath, _ components: [Substring]) -> Bool {
        var rest = components[...]
        for element in route {
            if element == .recursiveWildcard { return !rest.isEmpty }
            guard let component = rest.popFirst(), element ~= component else { return false }
        }
        return rest.isEmpty
    }
}
