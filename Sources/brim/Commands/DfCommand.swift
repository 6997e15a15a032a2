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
            'spare' are copies beyond the wanted number: they give way when room is needed, so that 'available' is \
            what is free and what is spare.

              brim df
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let status = try await client.status()
        let space = Space(status)
        if global.json { return try Console.printJSON(space) }
        var table = Table([.left(""), .right("QUOTA"), .right("USED"), .right("FULL"), .right("FREE")])
        for server in status.servers.sorted(by: { $0.name < $1.name }) {
            table.add([server.name.rawValue] + Self.cells(server.quota, server.used, server.free))
        }
        table.add(["all"] + Self.cells(space.quota, space.used, space.free))
        table.print()
        print(
            "\nessential \(ByteCount.format(space.essential)), spare \(ByteCount.format(space.spare)), "
                + "available \(ByteCount.format(space.available))")
    }

    private static func cells(_ quota: Int64, _ used: Int64, _ free: Int64) -> [String] {
        let share = quota > 0 ? Double(used) / Double(quota) : 1
        return [ByteCount.format(quota), ByteCount.format(used), percent(share), ByteCount.format(free)]
    }

    /// Sums over the servers whose copies count, in bytes.
    struct Space: Encodable {
        var quota: Int64 = 0
        var used: Int64 = 0
        var free: Int64 = 0
        /// Copies beyond the wanted number.
        var spare: Int64 = 0
        /// What is used and not spare.
        var essential: Int64 = 0
        /// What is free, and what spare copies would give.
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
            spare = min(used, spares)
            essential = used - spare
            available = free + spare
        }
    }
}
