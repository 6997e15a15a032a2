import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// Everything about names that is answered in JSON.
struct NamespaceRoutes: Sendable {
    let core: MasterCore
    private var namespace: NamespaceService { core.namespace }
    private var reads: ReadDesk { core.reads }

    init(core: MasterCore) { self.core = core }

    func add(to router: Router<BrimRequestContext>) {
        router.onTree("/v1/stat", method: .get) { request, context in
            try jsonResponse(try await namespace.stat(try readable(request, context, "/v1/stat")))
        }
        router.onTree("/v1/list", method: .get, use: list)
        router.onTree("/v1/where", method: .get) { request, context in
            try jsonResponse(try await reads.locations(try readable(request, context, "/v1/where")))
        }
        router.onTree("/v1/usage", method: .get) { request, context in
            try jsonResponse(try await namespace.usage(try readable(request, context, "/v1/usage")))
        }
        router.onTree("/v1/directories", method: .put, use: makeDirectory)
        router.onTree("/v1/symlinks", method: .put, use: makeSymlink)
        router.post("/v1/rename", use: rename)
        router.post("/v1/writes", use: grantWrites)
        router.post("/v1/reads", use: planReads)
    }

    private func readable(_ request: Request, _ context: BrimRequestContext, _ prefix: String) throws -> BrimPath {
        let path = try request.catchAllPath(after: prefix)
        try context.requireRead(path)
        return path
    }

    private func writable(_ request: Request, _ context: BrimRequestContext, _ prefix: String) throws -> BrimPath {
        let path = try request.catchAllPath(after: prefix)
        try context.requireWrite(path)
        return path
    }

    @Sendable private func list(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let path = try readable(request, context, "/v1/list")
        let limit = try request.pageLimit()
        let after = try request.query("after").map { try EntryName($0) }
        return try jsonResponse(try await namespace.list(path, after: after, limit: limit))
    }

    @Sendable private func makeDirectory(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let path = try writable(request, context, "/v1/directories")
        let body = try await request.optionalJSON(DirectoryRequest.self) ?? DirectoryRequest()
        let (stat, created) = try await namespace.makeDirectory(
            path, parents: try request.queryBool("parents") ?? false, mode: body.mode, modified: body.modified,
            request: request.headers.value(of: .brimRequest))
        return try jsonResponse(stat, status: created ? .created : .ok)
    }

    @Sendable private func makeSymlink(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let path = try writable(request, context, "/v1/symlinks")
        let body = try await request.decodeJSON(SymlinkRequest.self)
        let stat = try await namespace.makeSymlink(
            path, target: body.target, parents: try request.queryBool("parents") ?? false, modified: body.modified,
            request: request.headers.value(of: .brimRequest))
        return try jsonResponse(stat, status: .created)
    }

    @Sendable private func rename(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let body = try await request.decodeJSON(RenameRequest.self)
        try context.requireWrite(body.from)
        try context.requireWrite(body.to)
        return try jsonResponse(
            try await core.rename(
                body.from, to: body.to, replace: body.replace ?? false,
                request: request.headers.value(of: .brimRequest)))
    }

    @Sendable private func grantWrites(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let body = try await request.decodeJSON(WritesRequest.self)
        try checkBatch(body.writes.count)
        for write in body.writes { try context.requireWrite(write.path) }
        let items = try await core.grant(body.writes, writerHost: context.remoteHost)
        return try jsonResponse(WritesReply(writes: items))
    }

    @Sendable private func planReads(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let body = try await request.decodeJSON(ReadsRequest.self)
        try checkBatch(body.paths.count)
        for path in body.paths { try context.requireRead(path) }
        var items: [ReadsReply.Item] = []
        for path in body.paths {
            items.append(try await reads.item(path, version: body.version, readerHost: context.remoteHost))
        }
        return try jsonResponse(ReadsReply(reads: items))
    }
}

extension Request {
    /// The JSON body, or nil when there is none.
    func optionalJSON<T: Decodable>(_ type: T.Type) async throws -> T? {
        let length = headers[.contentLength].flatMap { Int($0) }
        if length == 0 || (length == nil && headers[.transferEncoding] == nil) { return nil }
        return try await decodeJSON(type)
    }
}
