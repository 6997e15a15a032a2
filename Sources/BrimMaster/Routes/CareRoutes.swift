import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// What lets people see and steer what the swarm does by itself.
struct CareRoutes: Sendable {
    let verify: VerifyService
    let workers: WorkersService
    let why: WhyService
    let settings: SettingsKeeper

    func add(to router: Router<BrimRequestContext>) {
        router.onTree("/v1/verify", method: .post) { request, context in
            let path = try request.catchAllPath(after: "/v1/verify")
            try context.requireRead(path)
            return try jsonResponse(try await verify.verify(path))
        }
        router.onTree("/v1/why", method: .get) { request, context in
            let path = try request.catchAllPath(after: "/v1/why")
            try context.requireRead(path)
            return try jsonResponse(try await why.why(path))
        }
        router.get("/v1/workers") { _, context in
            try context.requireRead(.root)
            return try jsonResponse(await workers.workers())
        }
        router.get("/v1/settings") { _, context in
            try context.requireRead(.root)
            return try jsonResponse(await settings.all())
        }
        router.patch("/v1/settings") { request, context in
            try context.requireAdmin()
            return try jsonResponse(try await settings.change(try await request.decodeJSON(SettingsRequest.self)))
        }
    }
}
