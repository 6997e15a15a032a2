import BrimMetadata
import BrimModel
import BrimWire

/// Tells readers where a file's copies are, best first, each with a token for this one blob.
struct ReadDesk: Sendable {
    /// How long a reader may take to begin.
    static let lifetime = Duration.seconds(3600)

    let namespace: NamespaceService
    let rosters: Rosters
    let keys: SwarmKeys
    var clock: any BrimClock = SystemClock()

    /// The copies of a file, or of one of its versions, that can be read now. Throws `.unavailable` when no holder answers.
    func plan(_ path: BrimPath, version: Int64? = nil, readerHost: String?) async throws -> ReadPlan {
        try await plan(path, try await namespace.file(at: path, version: version), readerHost: readerHost)
    }

    /// What to answer to one of several reads. Throws only `.unavailable` and `.timeout` of the database, which hold for all of them.
    func item(_ path: BrimPath, version: Int64?, readerHost: String?) async throws -> ReadsReply.Item {
        let found: (Entry, FileContent)
        do {
            found = try await namespace.file(at: path, version: version)
        } catch let error as BrimError where error.code != .unavailable && error.code != .timeout {
            return ReadsReply.Item(error: error)
        }
        do {
            return ReadsReply.Item(plan: try await plan(path, found, readerHost: readerHost))
        } catch let error as BrimError {
            return ReadsReply.Item(error: error)
        }
    }

    private func plan(
        _ path: BrimPath, _ file: (Entry, FileContent), readerHost: String?
    ) async throws -> ReadPlan {
        let (entry, content) = file
        let holders = await holders(of: content).filter { $0.state != .down }
        guard !holders.isEmpty else {
            let names = content.replicas.map(\.rawValue).joined(separator: ", ")
            throw BrimError(
                .unavailable, "no server that holds \(path) answers (\(names.isEmpty ? "there is none" : names))",
                advice: "Start one of them again")
        }
        let grant = ReadGrant(blob: content.blob, version: content.version, name: entry.name?.text ?? "")
        let token = try keys.sign(.read(grant, lifetime: Self.lifetime, now: clock.timestamp))
        return ReadPlan(
            file: FileStat(path: path.description, entry: entry),
            copies: Self.bestFirst(holders, readerHost: readerHost).map {
                ReadPlan.Copy(server: $0.name, url: "http://\($0.address)/v1/blobs/\(content.blob)?token=\(token)")
            })
    }

    /// The servers that hold a file, whether or not they answer.
    func locations(_ path: BrimPath) async throws -> [Location] {
        let (_, content) = try await namespace.file(at: path)
        return await holders(of: content).map { Location(server: $0.name, address: $0.address, state: $0.shownState) }
    }

    private func holders(of content: FileContent) async -> [ServerRecord] {
        let members = await rosters.current.members
        return content.replicas.compactMap { members[$0]?.record }
    }

    /// Servers that are up before draining and these before suspect ones, the reader's own machine first, then the least loaded.
    static func bestFirst(_ servers: [ServerRecord], readerHost: String?) -> [ServerRecord] {
        func rank(_ server: ServerRecord) -> (Int, Int, Int, Double) {
            let host = server.address.split(separator: ":").dropLast().joined(separator: ":")
            return (
                server.isReceiving ? 0 : server.state == .up ? 1 : 2, host == readerHost ? 0 : 1, server.load.transfers,
                server.load.peak
            )
        }
        return servers.shuffled().sorted { rank($0) < rank($1) }
    }
}
