import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim undelete [-r] [--to REMOTE] REMOTE`, `brim undelete --list [REMOTE]`
struct UndeleteCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "undelete",
        abstract: "Bring back removed files.",
        usage: """
            brim undelete [-r] [--to <remote>] <remote> [<options>]
            brim undelete --list [<remote>] [<options>]
            """,
        discussion: """
            Removed files stay on the disks until their room is needed, the oldest giving way first. The file that was \
            removed last from a path comes back, with its attributes, its old versions and the number of copies that was \
            wanted. Missing directories are made.

              brim undelete --list                     (what can be brought back)
              brim undelete --list /music
              brim undelete /music/song.mp3
              brim undelete --to /song.mp3 /music/song.mp3
              brim undelete -r /music/1959             (all that was removed below it)
            """)

    @Flag(help: "List what could be brought back from a path, or below a directory; '/' unless one is named.")
    var list = false

    @Flag(name: [.short, .customLong("recursive")], help: "Bring back all that was removed below a directory.")
    var recursive = false

    @Option(
        help: ArgumentHelp("Another path for it.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var to: RemotePath?

    @Argument(
        help: ArgumentHelp("The path it was removed from.", valueName: "remote"),
        transform: { try RemotePath(parsing: $0) })
    var path: RemotePath?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if list, recursive || to != nil { throw ValidationError("--list goes with neither -r nor --to.") }
        if !list, path == nil { throw ValidationError("Name the path of a removed file, or use --list.") }
    }

    func run(_ client: BrimClient) async throws {
        if list { return try await printTrash(client) }
        guard let path else { return }
        let reply = try await client.undelete(path.path, to: to?.path, recursive: recursive)
        for problem in reply.problems {
            var error = problem.error
            error.message = "\(problem.path): \(error.message)"
            ErrorReport.tell(error, asJSON: global.json)
        }
        if global.json { try Console.printJSON(Done(files: reply.files, bytes: reply.bytes)) }
        if let last = reply.problems.last {
            throw BrimError(
                last.error.code, "\(counted(reply.problems.count, "file")) could not be brought back",
                advice: "\(counted(reply.files, "file")) came back")
        }
    }

    private struct Done: Encodable {
        var files: Int64
        var bytes: Int64
    }

    private func printTrash(_ client: BrimClient) async throws {
        var items: [RemovedItem] = []
        var after: String?
        repeat {
            let page = try await client.trash(path?.path ?? .root, after: after)
            items += page.entries
            after = page.next
        } while after != nil
        if global.json { return try Console.printJSON(items) }
        var table = Table([.left("REMOVED"), .right("SIZE"), .right("COPIES"), .left("PATH")])
        for item in items {
            table.add([
                "\(item.removed.description.prefix(19))Z", ByteCount.format(item.size),
                "\(item.k)", Console.shown(item.path),
            ])
        }
        table.print()
    }
}
