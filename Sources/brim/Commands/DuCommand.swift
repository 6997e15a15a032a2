import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim du [REMOTE]`
struct DuCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "du",
        abstract: "Add up a file or a whole tree.",
        discussion: """
            'bytes' counts each file once, 'stored' each of its copies: those that are wanted ('essential') and those \
            beyond ('spare'), which give way when room is needed. 'trash' are the copies of what was removed from \
            there: they give way first.

              brim du /music
            """)

    @Argument(
        help: ArgumentHelp("A path in the swarm.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var path: RemotePath?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let usage = try await client.usage(path?.path ?? .root)
        if global.json { return try Console.printJSON(usage) }
        var table = Table([
            .right("BYTES"), .right("STORED"), .right("ESSENTIAL"), .right("SPARE"), .right("TRASH"), .right("FILES"),
            .right("DIRECTORIES"), .left("PATH"),
        ])
        table.add([
            ByteCount.format(usage.bytes), ByteCount.format(usage.storedBytes),
            ByteCount.format(usage.storedBytes - usage.spareBytes), ByteCount.format(usage.spareBytes),
            ByteCount.format(usage.trashBytes), "\(usage.files)", "\(usage.directories)", Console.shown(usage.path),
        ])
        table.print()
    }
}
