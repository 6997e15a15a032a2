import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// The swarm as a whole: status and servers.
struct ServerRoutes: Sendable {
    let status: StatusService
    let membership: Membership

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
            try context.requireAdmin()
            let name = try ServerName(validating: try context.parameters.require("name"))
            let body = try await request.decodeJSON(QuotaRequest.self)
            try await membership.setQuota(name, body.quota)
            return try jsonResponse(try await status.server(name))
        }
    }
}
