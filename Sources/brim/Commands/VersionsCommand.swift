import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim versions REMOTE`
struct VersionsCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "versions",
        abstract: "List the versions of a file that are kept.",
        discussion: """
            A version that is overwritten is kept until its room is needed. Newest first, the current one included; of a \
            removed file those that would come back with it.

              brim versions /notes/today.txt
              brim cat --version 3 /notes/today.txt
              brim restore --version 3 /notes/today.txt
            """)

    @Argument(
        help: ArgumentHelp("A path in the swarm.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var path: RemotePath

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let versions = try await client.versions(path.path)
        if global.json { return try Console.printJSON(versions) }
        var table = Table([.right("VERSION"), .right("SIZE"), .left("MODIFIED"), .left("")])
        for version in versions {
            table.add([
                "\(version.version)", ByteCount.format(version.size), version.modified.description,
                version.current ? "current" : "",
            ])
        }
        table.print()
    }
}
