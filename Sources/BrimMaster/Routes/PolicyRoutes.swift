import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// What decides how many copies files have.
struct PolicyRoutes: Sendable {
    let core: MasterCore

    func add(to router: Router<BrimRequestContext>) {
        router.get("/v1/policy") { _, context in
            try context.requireRead(.root)
            return try jsonResponse(try await core.policy.show())
        }
        router.put("/v1/policy") { request, context in
            try context.requireAdmin()
            return try jsonResponse(try await core.policy.change(try await request.decodeJSON(PolicyRequest.self)))
        }
        router.post("/v1/policy/test") { request, context in
            let body = try await request.decodeJSON(PolicyTestRequest.self)
            try checkBatch(body.paths.count)
            for path in body.paths { try context.requireRead(path) }
            return try jsonResponse(try await core.policy.test(body))
        }
        router.post("/v1/policy/apply") { _, context in
            try context.requireAdmin()
            return try jsonResponse(try await core.policy.apply())
        }
        router.onTree("/v1/copies", method: .post) { request, context in
            let path = try request.catchAllPath(after: "/v1/copies")
            try context.requireWrite(path)
            let body = try await request.decodeJSON(TreeChangeRequest.self)
            return try jsonResponse(try await core.changeTree(path, n: body.n))
        }
    }
}
