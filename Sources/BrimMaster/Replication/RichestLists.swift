import BrimMetadata
import BrimModel
import BrimPlacement

/// The copies with the most surplus on each server, read when first asked for and longer when that was not enough.
struct RichestLists: Sendable {
    static let firstPage = 512

    private let store: any MetadataStore
    private let minSurplus: Int
    private(set) var lists: [ServerName: [Victim]] = [:]
    /// Bytes of each list.
    private(set) var bytes: [ServerName: Int64] = [:]
    private var limits: [ServerName: Int] = [:]

    init(store: any MetadataStore, minSurplus: Int) {
        self.store = store
        self.minSurplus = minSurplus
    }

    /// Reads what is missing so that every server's list frees `bytes(server)` and has `page` copies to choose from, or
    /// holds all there is up to `Limits.victims`.
    mutating func load(
        _ servers: some Sequence<ServerName>, page: Int = Self.firstPage, bytes needed: (ServerName) -> Int64
    ) async throws {
        for server in servers {
            while !suffices(server, page, bytes: needed(server)) {
                let limit = limits[server].map { $0 < Self.firstPage ? Self.firstPage : Limits.victims } ?? page
                let list = try await store.richest(on: server, minSurplus: minSurplus, limit: limit)
                lists[server] = list
                bytes[server] = list.reduce(0) { $0 + $1.size }
                limits[server] = limit
            }
        }
    }

    private func suffices(_ server: ServerName, _ page: Int, bytes needed: Int64) -> Bool {
        guard let limit = limits[server] else { return false }
        let isAll = lists[server, default: []].count < limit || limit >= Limits.victims
        return isAll || (limit >= page && bytes[server, default: 0] >= needed)
    }
}
