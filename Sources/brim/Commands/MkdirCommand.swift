import ArgumentParser
import BrimClient
import BrimModel

/// `brim mkdir [-p] REMOTE…`
struct MkdirCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "mkdir",
        abstract: "Make directories.",
        discussion: """
              brim mkdir /music
              brim mkdir -p /music/1959/jazz     (parents too; no error when it exists)
            """)

    @Flag(name: [.short, .customLong("parents")], help: "Make missing parents; an existing directory is no error.")
    var parents = false

    @Argument(
        help: ArgumentHelp("Paths in the swarm.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var paths: [RemotePath]

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        for path in paths {
            guard !path.path.isRoot else {
                if parents { continue }
                throw BrimError(.exists, "'/' exists")
            }
            let made = try await client.makeDirectory(path.path, parents: parents)
            if global.json { try Console.printJSON(made, indented: false) }
        }
    }
}
