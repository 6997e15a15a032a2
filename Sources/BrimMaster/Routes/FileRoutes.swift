import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird

/// `/v1/files/PATH`: the routes that curl uses. Bytes never pass through a master: reading and writing are redirects.
struct FileRoutes: Sendable {
    static let prefix = "/v1/files"

    let core: MasterCore

    func add(to router: Router<BrimRequestContext>) {
        router.onTree(Self.prefix, method: .get, use: read)
        router.onTree(Self.prefix, method: .head, use: head)
        router.onTree(Self.prefix, method: .put, use: write)
        router.onTree(Self.prefix, method: .delete, use: remove)
        router.onTree(Self.prefix, method: .patch, use: change)
    }

    @Sendable private func read(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let path = try request.catchAllPath(after: Self.prefix)
        try context.requireRead(path)
        let plan = try await core.reads.plan(
            path, version: try request.queryInt("version").map(Int64.init), readerHost: context.remoteHost)
        let tag = plan.file.entityTag ?? ""
        if request.headers[.ifNoneMatch].map({ EntityTags($0).match(tag) }) == true {
            return Response(status: .notModified, headers: [.eTag: tag])
        }
        guard let best = plan.copies.first else {
            throw BrimError(.unavailable, "no server that holds \(path) answers")
        }
        return Response(
            status: .temporaryRedirect, headers: [.location: best.url, .eTag: tag, .cacheControl: "no-store"])
    }

    @Sendable private func head(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let path = try request.catchAllPath(after: Self.prefix)
        try context.requireRead(path)
        let (entry, content) = try await core.namespace.file(
            at: path, version: try request.queryInt("version").map(Int64.init))
        let stat = FileStat(path: path.description, entry: entry)
        var headers: HTTPFields = [.eTag: stat.entityTag ?? "", .acceptRanges: "bytes"]
        headers[.contentLength] = String(content.size)
        headers[.lastModified] = HTTPDate.format(entry.modified)
        headers.set(.brimChecksum, content.checksum.description)
        return Response(status: .ok, headers: headers, body: ResponseBody(contentLength: Int(content.size)) { _ in })
    }

    @Sendable private func write(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let path = try request.catchAllPath(after: Self.prefix)
        try context.requireWrite(path)
        let length = request.headers[.contentLength]
        let size = length.flatMap { Int64($0) }
        guard length == nil || size != nil else { throw BrimError(.invalid, "the Content-Length is not a number") }
        let item = try await core.grant(
            WriteRequest(
                path: path, size: size, mode: try request.queryInt("mode"),
                modified: try request.timestamp("modified"), n: try request.queryInt("n"),
                attributes: try request.attributes("attributes"), ifMatch: try IfMatch(request.headers)),
            writerHost: context.remoteHost)
        guard let url = item.url else { throw item.error ?? BrimError(.internal, "no target was chosen") }
        return Response(status: .temporaryRedirect, headers: [.location: url, .cacheControl: "no-store"])
    }

    @Sendable private func remove(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let path = try request.catchAllPath(after: Self.prefix)
        try context.requireWrite(path)
        if let wanted = request.headers[.ifMatch] {
            let (entry, _) = try await core.namespace.file(at: path)
            let tag = FileStat(path: path.description, entry: entry).entityTag ?? ""
            guard EntityTags(wanted).match(tag) else {
                throw BrimError(.precondition, "\(path) is at \(tag)", advice: "Read it again and decide anew")
            }
        }
        return try jsonResponse(
            try await core.remove(
                path, recursive: try request.queryBool("recursive") ?? false,
                now: try request.queryBool("now") ?? false, request: request.headers.value(of: .brimRequest)))
    }

    @Sendable private func change(_ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let path = try request.catchAllPath(after: Self.prefix)
        try context.requireWrite(path)
        return try jsonResponse(try await core.change(path, try await request.decodeJSON(ChangeRequest.self)))
    }
}
