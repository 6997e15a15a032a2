import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim rm [-r] [--now] REMOTE…`
struct RmCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract: "Remove files and directories.",
        discussion: """
            Removed files stay on the disks as trash until their room is needed: 'brim undelete' brings them back, with \
            their old versions. Links and directories are removed for good.

              brim rm /old.txt
              brim rm -r /music/1959
              brim rm --now /secret.txt      (for good: frees its room at once)
            """)

    @Flag(name: [.short, .customLong("recursive")], help: "Remove directories with all in them.")
    var recursive = false

    @Flag(help: "Do not keep the files as trash, nor their old versions.")
    var now = false

    @Argument(
        help: ArgumentHelp("Paths in the swarm.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var paths: [RemotePath]

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if paths.contains(where: \.path.isRoot) { throw ValidationError("'/' cannot be removed.") }
    }

    func run(_ client: BrimClient) async throws {
        var total = RemoveReply(files: 0, directories: 0)
        var failures: [BrimError] = []
        for path in paths {
            do {
                let removed = try await client.remove(path.path, recursive: recursive, now: now)
                total.files += removed.files
                total.directories += removed.directories
            } catch var error as BrimError where error.code != .unauthorized {
                if error.code == .notEmpty { error.advice = "Use -r to remove it with all in it" }
                guard paths.count > 1 else { throw error }
                ErrorReport.tell(error, asJSON: global.json)
                failures.append(error)
            }
        }
        if global.json { try Console.printJSON(total) }
        if let last = failures.last {
            throw BrimError(last.code, "\(failures.count) of \(counted(paths.count, "path")) could not be removed")
        }
    }
}
