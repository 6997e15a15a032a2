import ArgumentParser
import BrimClient

/// `brim servers`
struct ServersCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "servers",
        abstract: "List the servers of the swarm.",
        discussion: """
              brim servers
              brim servers --json | jq -r '.[] | select(.state != "up") | .name'
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let servers = try await client.servers()
        if global.json { return try Console.printJSON(servers) }
        for line in StatusScreen.servers(servers) { print(line) }
    }
}
