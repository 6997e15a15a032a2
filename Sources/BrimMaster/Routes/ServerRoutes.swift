import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// The swarm as a whole: status, masters and servers. What there is to say of servers the leader knows; others say what is
/// stored when it does not answer.
struct ServerRoutes: Sendable {
    /// How long the leader may take to tell its status.
    private static let statusDeadline = Duration.seconds(4)

    let core: MasterCore
    let gate: LeaderGate

    func add(to router: Router<BrimRequestContext>) {
        router.get("/v1/status") { request, context in
            try context.requireRead(.root)
            return try await leaders(request, context) { try jsonResponse(try await $0.status()) }
        }
        router.get("/v1/servers") { request, context in
            try context.requireRead(.root)
            return try await leaders(request, context) { try jsonResponse(try await $0.servers()) }
        }
        router.get("/v1/masters") { _, context in
            try context.requireCaller()
            return try jsonResponse(MastersReply(masters: core.registry.masters(leader: core.leader.url)))
        }
        addLifecycle(to: router)
    }

    /// What the leader's status says, else what can be said without it.
    private func leaders(
        _ request: Request, _ context: BrimRequestContext,
        _ answer: @escaping @Sendable (StatusService) async throws -> Response
    ) async throws -> Response {
        do {
            return try await gate.serve(request, context, within: .zero, deadline: Self.statusDeadline) {
                try await answer($1.status)
            }
        } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
            return try await answer(core.lonelyStatus)
        }
    }

    private func addLifecycle(to router: Router<BrimRequestContext>) {
        change(.put, "quota", on: router) { request, name, leadership in
            try await leadership.admin.setQuota(name, try await request.decodeJSON(QuotaRequest.self).quota)
        }
        change(.put, "zone", on: router) { request, name, leadership in
            try await leadership.admin.setZone(name, try await request.decodeJSON(ZoneRequest.self).zone)
        }
        change(.post, "drain", on: router) { _, name, leadership in try await leadership.admin.drain(name) }
        change(.post, "undrain", on: router) { _, name, leadership in try await leadership.admin.undrain(name) }
        router.delete("/v1/servers/:name") { request, context in
            let name = try Self.server(context)
            return try await gate.serve(request, context) { request, leadership in
                let losesData = try request.queryBool("loseData") ?? false
                let lost = try await leadership.forgetter.forget(name, losesData: losesData)
                return try jsonResponse(ForgetReply(server: name, lostFiles: lost))
            }
        }
    }

    /// `/v1/servers/NAME/WHAT`, which the leader does and answers with the server's status.
    private func change(
        _ method: HTTPRequest.Method, _ what: String, on router: Router<BrimRequestContext>,
        _ body: @escaping @Sendable (Request, ServerName, Leadership) async throws -> Void
    ) {
        router.on(RouterPath("/v1/servers/:name/\(what)"), method: method) { request, context in
            let name = try Self.server(context)
            return try await gate.serve(request, context) { request, leadership in
                try await body(request, name, leadership)
                return try jsonResponse(try await leadership.status.server(name))
            }
        }
    }

    /// The server that an admin's request is about.
    private static func server(_ context: BrimRequestContext) throws -> ServerName {
        try context.requireAdmin()
        return try ServerName(validating: try context.parameters.require("name"))
    }
}
