import BrimModel
import BrimWire
import Logging

/// Says for all servers of a sample that they live, as slaves do, and that they are full: so nothing is asked of them.
actor Pulse {
    static let address = "127.0.0.1:1"
    static let usage = ServerUsage(boot: "bench-scale", count: 1, used: Filler.quota / 100 * 98, diskFree: 0, files: 0)
    static func id(of server: ServerName) -> String { "id of \(server)" }

    private var speaking: Set<ServerName>
    private let peers: PeerClient
    private let master: String
    private let keys: SwarmKeys
    private var task: Task<Void, Never>?

    init(_ servers: [ServerName], master: String, keys: SwarmKeys, logger: Logger) {
        speaking = Set(servers)
        peers = PeerClient(logger: logger)
        self.master = master
        self.keys = keys
    }

    /// Until `end`.
    func begin() { task = Task { await speak() } }

    /// This one says nothing from now on.
    func silence(_ server: ServerName) { speaking.remove(server) }

    func end() async {
        task?.cancel()
        await task?.value
        await peers.shutdown()
    }

    private func speak() async {
        while !Task.isCancelled {
            for name in speaking {
                let beat = HeartbeatRequest(
                    name: name, id: Self.id(of: name), usage: Self.usage,
                    load: ServerLoad(cpu: 0, network: 0, disk: 0, transfers: 0))
                // One that fails is followed by another.
                _ = try? await peers.call(
                    .POST, "\(master)/v1/node/heartbeat", body: beat, token: try? keys.nodeToken(name: name.rawValue),
                    as: HeartbeatReply.self)
            }
            try? await Task.sleep(for: .seconds(1))
        }
    }
}
