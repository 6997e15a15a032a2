import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim where REMOTE`
struct WhereCommand: ClientCommand {
    static let readsOffline = true
    static let configuration = CommandConfiguration(
        commandName: "where",
        abstract: "Name the servers that hold a file.",
        discussion: """
              brim where /music/song.mp3
              brim where --json /music/song.mp3 | jq -r '.[] | select(.state == "up") | .server'
            """)

    @Argument(
        help: ArgumentHelp("A path in the swarm.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var path: RemotePath

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let locations = try await client.locations(path.path)
        if global.json { return try Console.printJSON(locations) }
        var table = Table([.left("SERVER"), .left("ADDRESS"), .left("STATE")])
        for location in locations {
            table.add([location.server.rawValue, location.address, location.state.rawValue])
        }
        table.print()
    }
}
