import BrimMetadata
import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// Removed files and old versions.
struct TrashRoutes: Sendable {
    let core: MasterCore

    func add(to router: Router<BrimRequestContext>) {
        router.onTree("/v1/versions", method: .get, use: versions)
        router.onTree("/v1/trash", method: .get, use: trash)
        router.post("/v1/undelete", use: undelete)
        router.post("/v1/restore", use: restore)
        router.post("/v1/purge", use: purge)
    }

    @Sendable private func versions(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let path = try request.catchAllPath(after: "/v1/versions")
        try context.requireRead(path)
        let before = try request.queryInt("before").map(Int64.init)
        return try jsonResponse(
            try await core.namespace.versions(path, before: before, limit: try request.pageLimit()))
    }

    @Sendable private func trash(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let path = try request.catchAllPath(after: "/v1/trash")
        try context.requireRead(path)
        let after = try request.query("after").map { try TrashPosition(cursor: $0) }
        return try jsonResponse(
            try await core.namespace.trash(path, after: after, limit: try request.pageLimit()))
    }

    @Sendable private func undelete(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let body = try await request.decodeJSON(UndeleteRequest.self)
        try context.requireWrite(body.path)
        if let to = body.to { try context.requireWrite(to) }
        return try jsonResponse(
            try await core.undelete(
                body.path, to: body.to, recursive: body.recursive ?? false,
                request: request.headers.value(of: .brimRequest)))
    }

    @Sendable private func restore(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let body = try await request.decodeJSON(RestoreRequest.self)
        try context.requireWrite(body.path)
        return try jsonResponse(
            try await core.restore(
                body.path, version: body.version, request: request.headers.value(of: .brimRequest)))
    }

    @Sendable private func purge(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let body = try await request.decodeJSON(PurgeRequest.self)
        try context.requireWrite(body.path ?? .root)
        return try jsonResponse(try await core.purge(body))
    }
}
