import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// The swarm as a whole: status and servers.
struct ServerRoutes: Sendable {
    let status: StatusService
    let admin: ServerAdmin
    let forgetter: Forgetter

    func add(to router: Router<BrimRequestContext>) {
        router.get("/v1/status") { _, context in
            try context.requireRead(.root)
            return try jsonResponse(try await status.status())
        }
        router.get("/v1/servers") { _, context in
            try context.requireRead(.root)
            return try jsonResponse(try await status.servers())
        }
        router.put("/v1/servers/:name/quota") { request, context in
            let name = try Self.server(context)
            let body = try await request.decodeJSON(QuotaRequest.self)
            try await admin.setQuota(name, body.quota)
            return try jsonResponse(try await status.server(name))
        }
        addLifecycle(to: router)
    }

    private func addLifecycle(to router: Router<BrimRequestContext>) {
        router.put("/v1/servers/:name/zone") { request, context in
            let name = try Self.server(context)
            let body = try await request.decodeJSON(ZoneRequest.self)
            try await admin.setZone(name, body.zone)
            return try jsonResponse(try await status.server(name))
        }
        router.post("/v1/servers/:name/drain") { _, context in
            let name = try Self.server(context)
            try await admin.drain(name)
            return try jsonResponse(try await status.server(name))
        }
        router.post("/v1/servers/:name/undrain") { _, context in
            let name = try Self.server(context)
            try await admin.undrain(name)
            return try jsonResponse(try await status.server(name))
        }
        router.delete("/v1/servers/:name") { request, context in
            let name = try Self.server(context)
            let losesData = try request.queryBool("loseData") ?? false
            let lost = try await forgetter.forget(name, losesData: losesData)
            return try jsonResponse(ForgetReply(server: name, lostFiles: lost))
        }
    }

    /// The server that an admin's request is about.
    private static func server(_ context: BrimRequestContext) throws -> ServerName {
        try context.requireAdmin()
        return try ServerName(validating: try context.parameters.require("name"))
    }
}
