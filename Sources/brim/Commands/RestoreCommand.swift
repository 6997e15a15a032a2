import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim restore --version NUMBER REMOTE`
struct RestoreCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make an old version of a file the current one.",
        discussion: """
            It becomes a new version with the old one's bytes and time; what was current becomes an old version. No bytes \
            are copied. The file keeps its wanted number of copies.

              brim versions /notes/today.txt
              brim restore --version 3 /notes/today.txt
            """)

    @Option(help: ArgumentHelp("Which version, as 'brim versions' lists them.", valueName: "number"))
    var version: Int64

    @Argument(
        help: ArgumentHelp("A path in the swarm.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var path: RemotePath

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let stat = try await client.restore(path.path, version: version)
        if global.json { return try Console.printJSON(stat) }
        print("\(Console.shown(stat.path)) is at version \(stat.version ?? 0), with the bytes of version \(version)")
    }
}
