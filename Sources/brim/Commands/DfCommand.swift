import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim df`
struct DfCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "df",
        abstract: "Show how full the swarm is, and how much of that could give way.",
        discussion: """
            'spare' are copies beyond the wanted number, 'trash' those of removed files and old versions: they give \
            way when room is needed, trash first, so that 'available' is what is free, spare and trash.

              brim df
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let status = try await client.status()
        let space = Space(status)
        if global.json { return try Console.printJSON(space) }
        var table = Table([
            .left(""), .right("QUOTA"), .right("USED"), .right("FULL"), .right("ESSENTIAL"), .right("SPARE"),
            .right("TRASH"), .right("FREE"),
        ])
        for server in status.servers.sorted(by: { $0.name < $1.name }) {
            table.add([
                server.name.rawValue, ByteCount.format(server.quota), ByteCount.format(server.used),
                Self.share(server.used, of: server.quota), bytes(server.essential), bytes(server.spare),
                bytes(server.trash), ByteCount.format(server.free),
            ])
        }
        table.add([
            "all", ByteCount.format(space.quota), ByteCount.format(space.used), Self.share(space.used, of: space.quota),
            bytes(space.essential), bytes(space.spare), bytes(space.trash), ByteCount.format(space.free),
        ])
        table.print()
        print("\navailable \(ByteCount.format(space.available)): what is free, spare or trash")
    }

    private static func share(_ used: Int64, of quota: Int64) -> String {
        percent(quota > 0 ? Double(used) / Double(quota) : 1)
    }

    /// Sums over the servers whose copies count, in bytes.
    struct Space: Encodable {
        var quota: Int64 = 0
        var used: Int64 = 0
        var free: Int64 = 0
        /// Copies beyond the wanted number.
        var spare: Int64 = 0
        /// Copies of removed files and old versions.
        var trash: Int64 = 0
        /// What is used and neither spare nor trash.
        var essential: Int64 = 0
        /// What is free, and what spare copies and trash would give.
        var available: Int64 = 0
        /// Live files, and their sizes once each.
        var files: Int64
        var bytes: Int64

        init(_ status: StatusReply) {
            files = status.files
            bytes = status.bytes
            for server in status.servers where server.state != .down && server.state != .draining {
                quota += server.quota
                used += server.used
                free += server.free
            }
            let spares = status.surplus.reduce(into: Int64(0)) { sum, level in
                sum += Int64(max(0, level.surplus)) * level.bytes
            }
            trash = min(used, status.trash?.bytes ?? 0)
            spare = min(used - trash, spares)
            essential = used - spare - trash
            available = free + spare + trash
        }
    }
}
