import BrimModel
import BrimWire
import NIOHTTP1

extension BrimClient {
    /// Gives a directory and all that is below another n; nil: that of policies.
    public func changeTree(_ path: BrimPath, n: Int?) async throws -> TreeChangeReply {
        try await ask(
            .POST, "/v1/copies" + path.percentEncoded, body: TreeChangeRequest(n: n), deadline: Self.treeDeadline)
    }

    /// One entry in full. Throws `.notFound`.
    public func stat(_ path: BrimPath) async throws -> FileStat {
        try await ask(.GET, "/v1/stat" + path.percentEncoded)
    }

    /// One entry in full; nil when there is none.
    public func statIfPresent(_ path: BrimPath) async throws -> FileStat? {
        do {
            return try await stat(path)
        } catch let error as BrimError where error.code == .notFound || error.code == .notDirectory {
            return nil
        }
    }

    /// The entries of a directory in order of their names' bytes, fetched a page at a time.
    public func list(_ path: BrimPath, pageEntries: Int = Limits.pageEntries) -> Listing {
        Listing(client: self, path: path, pageEntries: pageEntries)
    }

    /// The servers that hold a file.
    public func locations(_ path: BrimPath) async throws -> [Location] {
        try await ask(.GET, "/v1/where" + path.percentEncoded)
    }

    /// A whole tree added up.
    public func usage(_ path: BrimPath) async throws -> UsageReply {
        try await ask(.GET, "/v1/usage" + path.percentEncoded)
    }

    /// Makes a directory. With `parents`, missing parents too, and one that exists is no error.
    @discardableResult
    public func makeDirectory(
        _ path: BrimPath, parents: Bool = false, mode: Int? = nil, modified: Timestamp? = nil
    ) async throws -> FileStat {
        try await ask(
            .PUT, "/v1/directories\(path.percentEncoded)\(parents ? "?parents=true" : "")",
            body: DirectoryRequest(mode: mode, modified: modified), repetition: parents ? .safe : .named)
    }

    /// Makes a symbolic link with this text as its target; missing parents are made. Throws `.exists`.
    @discardableResult
    public func makeSymlink(_ path: BrimPath, target: String, modified: Timestamp? = nil) async throws -> FileStat {
        try await ask(
            .PUT, "/v1/symlinks\(path.percentEncoded)?parents=true",
            body: SymlinkRequest(target: target, modified: modified), repetition: .named)
    }

    /// Moves an entry to another name or directory. With `replace` a file there, or an empty directory, is replaced.
    @discardableResult
    public func rename(_ from: BrimPath, to: BrimPath, replace: Bool = true) async throws -> FileStat {
        try await ask(
            .POST, "/v1/rename", body: RenameRequest(from: from, to: to, replace: replace), repetition: .named)
    }

    /// Removes an entry; a directory that has entries only with `recursive`. Files can be brought back with `undelete`
    /// until their room is needed; with `now` they, and all their old versions, cannot.
    @discardableResult
    public func remove(_ path: BrimPath, recursive: Bool = false, now: Bool = false) async throws -> RemoveReply {
        let query = [recursive ? "recursive=true" : nil, now ? "now=true" : nil].compactMap { $0 }
        return try await ask(
            .DELETE, "/v1/files\(path.percentEncoded)\(query.isEmpty ? "" : "?")\(query.joined(separator: "&"))",
            repetition: .named, deadline: recursive ? Self.treeDeadline : .seconds(10))
    }

    /// Changes n, attributes, mode or modification time.
    @discardableResult
    public func update(_ path: BrimPath, _ change: ChangeRequest) async throws -> FileStat {
        try await ask(.PATCH, "/v1/files" + path.percentEncoded, body: change)
    }
}

/// The entries of a directory, fetched a page at a time.
public struct Listing: AsyncSequence, Sendable {
    public typealias Element = ListItem
    let client: BrimClient
    let path: BrimPath
    let pageEntries: Int

    /// Entries that are fetched first, at most, so that whoever waits sees something soon.
    public static let firstEntries = 100

    public struct AsyncIterator: AsyncIteratorProtocol {
        let listing: Listing
        private var page: ArraySlice<ListItem> = []
        private var after: EntryName?
        private var isLastPage = false

        init(_ listing: Listing) { self.listing = listing }

        public mutating func next() async throws -> ListItem? {
            while page.isEmpty {
                guard !isLastPage else { return nil }
                let limit = after == nil ? Swift.min(Listing.firstEntries, listing.pageEntries) : listing.pageEntries
                let reply = try await listing.page(after: after, limit: limit)
                page = reply.entries[...]
                after = reply.next
                isLastPage = reply.next == nil
            }
            return page.popFirst()
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }

    private func page(after: EntryName?, limit: Int) async throws -> ListReply {
        let place = after.map { "&after=\(PercentEncoding.encode($0.text))" } ?? ""
        return try await client.ask(.GET, "/v1/list\(path.percentEncoded)?limit=\(limit)\(place)")
    }
}
