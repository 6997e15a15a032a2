import BrimModel
import BrimWire
import NIOHTTP1

extension BrimClient {
    /// The versions of a file that can be read or restored, newest first, the current one included. Of a removed file those
    /// that come back with it. Throws `.notFound`.
    public func versions(_ path: BrimPath) async throws -> [VersionItem] {
        var all: [VersionItem] = []
        while true {
            let place = all.last.map { "&before=\($0.version)" } ?? ""
            let page: [VersionItem] = try await ask(
                .GET, "/v1/versions\(path.percentEncoded)?limit=\(Limits.pageEntries)\(place)")
            all += page
            if page.count < Limits.pageEntries { return all }
        }
    }

    /// Makes a former version the current one, as a new version; no bytes are copied. Throws `.notFound` when it is not
    /// kept any more.
    @discardableResult
    public func restore(_ path: BrimPath, version: Int64) async throws -> FileStat {
        try await ask(
            .POST, "/v1/restore", body: RestoreRequest(path: path, version: version), repetition: .named)
    }

    /// What was removed from a path or below it and can be brought back, by path, the last removed first; one page.
    public func trash(_ path: BrimPath, after: String? = nil) async throws -> TrashReply {
        let place = after.map { "&after=\(PercentEncoding.encode($0))" } ?? ""
        return try await ask(.GET, "/v1/trash\(path.percentEncoded)?limit=\(Limits.pageEntries)\(place)")
    }

    /// Brings back what was removed last from a path, or with `recursive` from all paths below it; `to` is another place
    /// for it. Throws `.exists` when the name is taken, `.notFound` when nothing is left.
    @discardableResult
    public func undelete(_ path: BrimPath, to: BrimPath? = nil, recursive: Bool = false) async throws -> UndeleteReply {
        try await ask(
            .POST, "/v1/undelete", body: UndeleteRequest(path: path, to: to, recursive: recursive),
            repetition: .named, deadline: recursive ? Self.treeDeadline : .seconds(10))
    }

    /// Buries removed files and old versions for good.
    @discardableResult
    public func purge(_ request: PurgeRequest) async throws -> PurgeReply {
        try await ask(.POST, "/v1/purge", body: request, deadline: Self.treeDeadline)
    }
}
