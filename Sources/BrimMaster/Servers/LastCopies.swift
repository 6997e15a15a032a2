import BrimMetadata
import BrimModel

/// What would be lost with a server: live files of which no other that answers has a copy.
struct LastCopies: Sendable {
    /// Copies looked at in one read.
    private static let page = 5000
    /// Files named in a refusal.
    private static let named = 20

    let server: ServerName
    private(set) var count: Int64 = 0
    /// The first of them.
    private var files: [FileID] = []

    /// Looks for them.
    init(on server: ServerName, _ store: any MetadataStore, _ roster: Roster) async throws {
        self.server = server
        let others = await roster.readable(besides: server)
        var after: BlobID?
        while true {
            let page = try await store.copies(on: server, after: after, limit: Self.page)
            for copy in page where others.isDisjoint(with: copy.replicas) {
                count += 1
                if files.count < Self.named { files.append(copy.file) }
            }
            guard page.count == Self.page, let last = page.last else { return }
            after = last.blob
        }
    }

    /// Why the server is not forgotten.
    func refusal(_ store: any MetadataStore) async throws -> BrimError {
        var paths: [String] = []
        for file in files { if let path = try await Self.path(of: file, store) { paths.append(path) } }
        let more = count > Int64(paths.count) ? ", …" : ""
        return BrimError(
            .conflict,
            "\(count) files have no other copy that can be read than that on \(server): "
                + paths.joined(separator: ", ") + more,
            advice: "Start the other servers that hold them, wait until they are copied (brim status), "
                + "or give them up with --lose-data", retryable: false)
    }

    /// nil when it is gone.
    private static func path(of file: FileID, _ store: any MetadataStore) async throws -> String? {
        var names: [String] = []
        var next: FileID? = file
        while let id = next, id != .root {
            guard let entry = try await store.entry(id), names.count <= Limits.pathComponents else { return nil }
            names.append(entry.name?.text ?? "?")
            next = entry.parent
        }
        return "/" + names.reversed().joined(separator: "/")
    }
}
