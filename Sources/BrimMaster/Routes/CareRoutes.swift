import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// What lets people see and steer what the swarm does by itself.
struct CareRoutes: Sendable {
    let core: MasterCore
    let gate: LeaderGate
    let verify: VerifyService
    let workers: WorkersService

    func add(to router: Router<BrimRequestContext>) {
        router.onTree("/v1/verify", method: .post) { request, context in
            let path = try request.catchAllPath(after: "/v1/verify")
            try context.requireRead(path)
            return try jsonResponse(try await verify.verify(path))
        }
        router.onTree("/v1/why", method: .get) { request, context in
            let path = try request.catchAllPath(after: "/v1/why")
            try context.requireRead(path)
            return try await gate.serve(request, context) { try jsonResponse(try await $1.why.why(path)) }
        }
        router.post("/v1/plan") { request, context in
            try context.requireRead(.root)
            return try await gate.serve(request, context) { request, leadership in
                let event = try await request.decodeJSON(PlanRequest.self)
                return try jsonResponse(try await leadership.plan.plan(event))
            }
        }
        router.get("/v1/workers") { request, context in
            try context.requireRead(.root)
            return try await gate.serve(request, context) { try jsonResponse(await workers.workers($1)) }
        }
        router.post("/v1/drill") { request, context in
            try context.requireAdmin()
            return try await gate.serve(request, context) { _, leadership in
                guard let drill = leadership.drill else { throw BrimError(.unsupported, "there are no rebuild drills") }
                return try jsonResponse(try await drill.drill())
            }
        }
        router.get("/v1/settings") { _, context in
            try context.requireRead(.root)
            return try jsonResponse(await core.settings.all())
        }
        router.patch("/v1/settings") { request, context in
            try context.requireAdmin()
            return try await gate.serve(request, context) { request, _ in
                let change = try await request.decodeJSON(SettingsRequest.self)
                return try jsonResponse(try await core.settings.change(change))
            }
        }
    }
}
