import BrimModel
import BrimWire

/// Answers readers from this slave's copy of the namespace, as a master would from the database.
struct ReplicaNamespace: Sendable {
    /// How long a reader may take to begin.
    private static let lifetime = Duration.seconds(3600)
    /// How long a peer is waited for before a reader is sent to the next.
    private static let patience = Duration.seconds(1)

    let node: SlaveNode
    let replica: NamespaceReplica

    // MARK: Looking

    func stat(_ path: BrimPath) async throws -> FileStat {
        let (entry, age) = try await replica.read { try $0.entry(at: path) }
        return stat(path, entry, age)
    }

    func list(_ path: BrimPath, after: EntryName?, limit: Int) async throws -> ListReply {
        let (page, age) = try await replica.read { reader in
            let entry = try reader.entry(at: path)
            guard entry.type == .directory else {
                throw BrimError(.notDirectory, "\(path) is not a directory", advice: "Name a directory")
            }
            return try reader.list(entry.id, after: after, limit: limit)
        }
        let items = page.compactMap { entry in
            entry.name.map { name in
                var item = ListItem(name: name, entry: counted(entry))
                item.age = age
                return item
            }
        }
        return ListReply(entries: items, next: page.count == limit ? page.last?.name : nil)
    }

    func locations(_ path: BrimPath) async throws -> [Location] {
        let (file, age) = try await file(path)
        return holders(of: file.content).map {
            Location(server: $0.name, address: $0.address, state: $0.state, age: age)
        }
    }

    private func stat(_ path: BrimPath, _ entry: Entry, _ age: Double) -> FileStat {
        var stat = FileStat(path: path.description, entry: counted(entry))
        stat.age = age
        return stat
    }

    private func file(
        _ path: BrimPath
    ) async throws -> (file: (entry: Entry, content: FileContent), age: Double) {
        let (entry, age) = try await replica.read { try $0.entry(at: path) }
        guard let content = entry.content else {
            throw entry.type == .directory
                ? BrimError(
                    .isDirectory, "\(path) is a directory", advice: "Name a file, or use -r for a whole tree")
                : BrimError(
                    .isDirectory, "\(path) is a symbolic link to \(entry.target ?? "?")", advice: "Use its target")
        }
        return ((entry, content), age)
    }

    /// With k and readable as they follow from the states of servers that the masters told last.
    private func counted(_ entry: Entry) -> Entry {
        guard let content = entry.content else { return entry }
        var counted = entry
        let states = holders(of: content).map(\.state)
        counted.content?.k = states.count { $0 == .up || $0 == .suspect }
        counted.content?.readable = states.contains { $0 != .down }
        return counted
    }

    // MARK: Reading

    func plan(_ path: BrimPath) async throws -> ReadPlan {
        let (file, age) = try await file(path)
        return ReadPlan(file: stat(path, file.entry, age), copies: try await copies(of: file.entry, file.content))
    }

    /// This server first, then by the state that was told last; those that were down too, as that may be long ago.
    private func copies(of entry: Entry, _ content: FileContent) async throws -> [ReadPlan.Copy] {
        let grant = ReadGrant(blob: content.blob, version: content.version, name: entry.name?.text ?? "")
        let token = try node.configuration.keys.sign(.read(grant, lifetime: Self.lifetime))
        func rank(_ server: SwarmReply.Server) -> Int {
            let states: [ServerState] = [.up, .draining, .suspect, .down]
            return server.name == node.name ? -1 : states.firstIndex(of: server.state) ?? states.count
        }
        let holders = holders(of: content).shuffled().sorted { rank($0) < rank($1) }
        return holders.map {
            ReadPlan.Copy(server: $0.name, url: "http://\($0.address)/v1/blobs/\(content.blob)?token=\(token)")
        }
    }

    private func holders(of content: FileContent) -> [SwarmReply.Server] {
        let servers = replica.swarm?.servers ?? []
        return content.replicas.compactMap { name in servers.first { $0.name == name } }
    }

    /// What a reader of a whole file needs: whether it is here, else where it is.
    enum Source: Sendable {
        case here
        case at(url: String)
    }

    /// The first holder that answers. Throws `.unavailable` when none does.
    func source(of plan: ReadPlan) async throws -> Source {
        if let blob = plan.file.blob, try await node.catalog.row(blob) != nil { return .here }
        let addresses = replica.swarm?.servers.map { ($0.name, $0.address) } ?? []
        let known = Dictionary(addresses) { first, _ in first }
        for copy in plan.copies where copy.server != node.name {
            guard let address = known[copy.server] else { continue }
            let answer = try? await node.peers.exchange(
                .GET, "http://\(address)/healthz", token: nil, deadline: Self.patience)
            if answer?.status == 200 { return .at(url: copy.url) }
        }
        let names = plan.copies.map(\.server.rawValue).joined(separator: ", ")
        throw BrimError(
            .unavailable, "no server that holds \(plan.file.path) answers (\(names.isEmpty ? "there is none" : names))",
            advice: "Start one of them again")
    }
}

extension ReplicaReader {
    /// Throws `.notFound`, naming the first missing component, or `.notDirectory`; `.unavailable` for what may be a file of
    /// which only other servers know.
    func entry(at path: BrimPath) throws -> Entry {
        let found = try resolve(path)
        guard found.count <= path.components.count, let last = found.last else {
            if let entry = found.last { return entry }
            throw BrimError(.corrupt, "the copy of the namespace has no root")
        }
        guard last.type == .directory else {
            let reached = try BrimPath(Array(path.components.prefix(found.count - 1)))
            throw BrimError(.notDirectory, "\(reached) is not a directory", advice: "Name a directory")
        }
        let missing = try BrimPath(Array(path.components.prefix(found.count)))
        guard scope == .full || found.count < path.components.count else {
            throw BrimError(
                .unavailable, "this slave knows only its own files, and \(missing) is none of them",
                advice: "Ask another slave, or a master")
        }
        throw BrimError(.notFound, "\(missing) does not exist")
    }
}
