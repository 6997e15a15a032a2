import BrimMetadata
import BrimModel
import BrimPlacement

/// The copies with the most surplus on each server, read when first asked for and longer when that was not enough.
struct RichestLists: Sendable {
    static let firstPage = 512

    private let store: any MetadataStore
    private let minSurplus: Int
    private(set) var lists: [ServerName: [Victim]] = [:]
    private var limits: [ServerName: Int] = [:]

    init(store: any MetadataStore, minSurplus: Int) {
        self.store = store
        self.minSurplus = minSurplus
    }

    /// Reads what is missing so that every server's list frees `bytes(server)`, or holds all there is up to
    /// `Limits.victims`.
    mutating func load(_ servers: [ServerName], bytes: (ServerName) -> Int64) async throws {
        for server in servers {
            let needed = bytes(server)
            while true {
                let limit = limits[server]
                let list = lists[server] ?? []
                if let limit {
                    let exhausted = list.count < limit || limit >= Limits.victims
                    if exhausted || list.reduce(0, { $0 + $1.size }) >= needed { break }
                }
                let next = limit == nil ? Self.firstPage : Limits.victims
                lists[server] = try await store.richest(on: server, minSurplus: minSurplus, limit: next)
                limits[server] = next
            }
        }
    }
}
