import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim purge [REMOTE] [--older-than 7d] [--versions|--trash]`
struct PurgeCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge",
        abstract: "Delete removed files and old versions for good.",
        discussion: """
            They would give way by themselves when their room is needed; this does not wait. Nothing that is purged can \
            be brought back.

              brim purge                               (all of them)
              brim purge --older-than 7d
              brim purge --versions /notes             (old versions of the files there, not what was removed)
              brim purge --trash /notes/secret.txt     (what was removed from there, not old versions)
            """)

    @Option(
        help: ArgumentHelp("Only what was removed or overwritten longer ago than this.", valueName: "duration"),
        transform: { try DurationText.parse($0) })
    var olderThan: Duration?

    @Flag(help: "Old versions only.")
    var versions = false

    @Flag(help: "Removed files only, with their old versions.")
    var trash = false

    @Argument(
        help: ArgumentHelp("Only of this file or below this directory.", valueName: "remote"),
        transform: { try RemotePath(parsing: $0) })
    var path: RemotePath?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        // Both are none: all.
        let both = versions == trash
        let reply = try await client.purge(
            PurgeRequest(
                path: path?.path, olderThanSeconds: olderThan.map { Double($0.wholeMilliseconds) / 1000 },
                trash: both || trash, versions: both || versions))
        if global.json { return try Console.printJSON(reply) }
        print(
            "\(counted(reply.files, "removed file or old version", "removed files and old versions")), "
                + "\(ByteCount.format(reply.bytes)) on the disks")
    }
}
