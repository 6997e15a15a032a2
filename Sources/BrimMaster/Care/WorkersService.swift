import BrimMetadata
import BrimModel
import BrimWire

/// Tells what all background loops of the swarm are at: this master's own, and those of all slaves, which are asked.
struct WorkersService: Sendable {
    let own: [Worker]
    let slaves: SlaveCaller

    /// Asks as the leader.
    func workers(_ leadership: Leadership) async -> WorkersReply {
        let roster = leadership.roster
        let servers = await roster.records
        let answers = await withTaskGroup(of: (ServerName, [WorkerStatus]?).self) { group in
            for server in servers {
                group.addTask {
                    guard server.state != .down, let peer = try? await roster.peer(server.name) else {
                        return (server.name, nil)
                    }
                    return (server.name, try? await slaves.workers(peer))
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = .some($1.1) }
        }
        var reply = WorkersReply(workers: (own + leadership.loops.map(\.worker)).map { $0.status(at: "master") })
        for server in servers {
            if let workers = answers[server.name] ?? nil {
                reply.workers += workers
            } else {
                reply.silent.append(server.name)
            }
        }
        return reply
    }
}
