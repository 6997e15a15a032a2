import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// What a slave answers of the namespace by itself: the routes of a master, for readers. Each JSON object says its `age`.
///
/// `Cache-Control: no-cache` asks for what only a master can give, and is refused.
struct ReplicaRoutes: Sendable {
    let node: SlaveNode
    let replica: NamespaceReplica
    private var namespace: ReplicaNamespace { ReplicaNamespace(node: node, replica: replica) }

    func add(to router: Router<BrimRequestContext>) {
        router.onTree("/v1/stat", method: .get) { request, context in
            try jsonResponse(try await namespace.stat(try readable(request, context, "/v1/stat")))
        }
        router.onTree("/v1/where", method: .get) { request, context in
            try jsonResponse(try await namespace.locations(try readable(request, context, "/v1/where")))
        }
        router.onTree("/v1/list", method: .get, use: list)
        router.onTree("/v1/files", method: .get, use: read)
        router.onTree("/v1/files", method: .head, use: head)
        router.post("/v1/reads", use: planReads)
        router.get("/v1/swarm") { _, context in
            try context.requireReader()
            return try jsonResponse(swarm())
        }
        refuse(router)
    }

    /// As the masters told last.
    private func swarm() -> SwarmReply {
        let told = replica.swarm
        let masters = told?.masters ?? []
        return SwarmReply(
            swarm: node.directory.identity.swarm,
            masters: masters + node.masters.known.filter { !masters.contains($0) },
            servers: told?.servers ?? [], replica: replica.status())
    }

    /// The path, for those who may read it and do not need a master.
    private func readable(_ request: Request, _ context: BrimRequestContext, _ prefix: String) throws -> BrimPath {
        let path = try request.catchAllPath(after: prefix)
        try context.requireRead(path)
        try request.requireNoMaster()
        return path
    }

    @Sendable private func list(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let path = try readable(request, context, "/v1/list")
        let limit = try request.pageLimit()
        let after = try request.query("after").map { try EntryName($0) }
        return try jsonResponse(try await namespace.list(path, after: after, limit: limit))
    }

    // MARK: Bytes

    @Sendable private func read(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let plan = try await plan(request, context)
        let tag = plan.file.entityTag ?? ""
        if let tags = request.headers[.ifNoneMatch], EntityTags.list(tags, contains: tag) {
            return Response(status: .notModified, headers: [.eTag: tag])
        }
        switch try await namespace.source(of: plan) {
        case .here:
            guard let blob = plan.file.blob else { throw BrimError(.internal, "\(plan.file.path) has no blob") }
            return try await Downloads(node: node).serve(blob, tag: tag, request, reads: node.reads)
        case .at(let url):
            return Response(
                status: .temporaryRedirect, headers: [.location: url, .eTag: tag, .cacheControl: "no-store"])
        }
    }

    @Sendable private func head(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let file = try await plan(request, context).file
        var headers: HTTPFields = [.eTag: file.entityTag ?? "", .acceptRanges: "bytes"]
        headers[.contentLength] = String(file.size)
        headers[.lastModified] = HTTPDate.format(file.modified)
        if let checksum = file.checksum { headers.set(.brimChecksum, checksum.description) }
        return Response(status: .ok, headers: headers, body: ResponseBody(contentLength: Int(file.size)) { _ in })
    }

    private func plan(_ request: Request, _ context: BrimRequestContext) async throws -> ReadPlan {
        let path = try readable(request, context, "/v1/files")
        if try request.queryInt("version") != nil { throw Self.versions }
        return try await namespace.plan(path)
    }

    private static let versions = BrimError(
        .unavailable, "this is a slave, which knows only current versions", advice: "Ask a master")

    @Sendable private func planReads(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let body = try await request.decodeJSON(ReadsRequest.self)
        try checkBatch(body.paths.count)
        for path in body.paths { try context.requireRead(path) }
        if context.caller == nil { try context.requireRead(.root) }
        try request.requireNoMaster()
        if body.version != nil { throw Self.versions }
        // What this slave does not know of a single file, another may.
        if body.paths.count == 1, let path = body.paths.first {
            do {
                return try jsonResponse(ReadsReply(reads: [.init(plan: try await namespace.plan(path))]))
            } catch let error as BrimError where error.code != .unavailable {
                return try jsonResponse(ReadsReply(reads: [.init(error: error)]))
            }
        }
        var items: [ReadsReply.Item] = []
        for path in body.paths {
            do {
                items.append(ReadsReply.Item(plan: try await namespace.plan(path)))
            } catch let error as BrimError {
                items.append(ReadsReply.Item(error: error))
            }
        }
        return try jsonResponse(ReadsReply(reads: items))
    }

    // MARK: What only masters do

    private func refuse(_ router: Router<BrimRequestContext>) {
        for method in [HTTPRequest.Method.put, .delete, .patch] {
            router.onTree("/v1/files", method: method) { try refuse(writing: "/v1/files", $0, $1) }
        }
        for prefix in ["/v1/directories", "/v1/symlinks"] {
            router.onTree(prefix, method: .put) { try refuse(writing: prefix, $0, $1) }
        }
        for route in ["rename", "writes", "undelete", "restore", "purge"] {
            router.post(RouterPath("/v1/\(route)")) { _, context -> Response in
                // The paths are in a body that is not read.
                if context.caller?.role != .user || context.caller?.canWrite != true {
                    try context.requireWrite(.root)
                }
                throw Self.isSlave
            }
        }
        for prefix in ["/v1/usage", "/v1/versions", "/v1/trash", "/v1/why"] {
            router.onTree(prefix, method: .get) { request, context -> Response in
                try context.requireRead(try request.catchAllPath(after: prefix))
                throw Self.isSlave
            }
        }
        router.onTree("/v1/verify", method: .post) { request, context -> Response in
            try context.requireRead(try request.catchAllPath(after: "/v1/verify"))
            throw Self.isSlave
        }
        refuseAboutTheSwarm(router)
    }

    private func refuseAboutTheSwarm(_ router: Router<BrimRequestContext>) {
        router.get("/v1/masters") { _, context -> Response in
            try context.requireCaller()
            throw Self.isSlave
        }
        router.get("/v1/servers") { _, context -> Response in
            try context.requireRead(.root)
            throw Self.isSlave
        }
        let admins: [(HTTPRequest.Method, String)] = [
            (.get, "settings"), (.patch, "settings"), (.get, "changes"), (.get, "snapshot"),
            (.delete, "servers/:name"), (.put, "servers/:name/quota"), (.put, "servers/:name/zone"),
            (.post, "servers/:name/drain"), (.post, "servers/:name/undrain"),
        ]
        for (method, route) in admins {
            router.on(RouterPath("/v1/\(route)"), method: method) { _, context -> Response in
                try context.requireAdmin()
                throw Self.isSlave
            }
        }
    }

    private func refuse(
        writing prefix: String, _ request: Request, _ context: BrimRequestContext
    ) throws -> Response {
        try context.requireWrite(try request.catchAllPath(after: prefix))
        throw Self.isSlave
    }

    private static let isSlave = BrimError(
        .unavailable, "this is a slave: it answers readers, and only a master can do that",
        advice: "Nothing was changed. See that a master runs, and ask it")
}

extension Request {
    /// Throws `.unavailable` for what only a master shall answer.
    func requireNoMaster() throws {
        guard headers[.cacheControl]?.lowercased().contains("no-cache") == true else { return }
        throw BrimError(.unavailable, "this is a slave: what it knows may be old", advice: "Ask a master")
    }
}
