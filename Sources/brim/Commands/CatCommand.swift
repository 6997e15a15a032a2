import ArgumentParser
import BrimClient
import Foundation

/// `brim cat REMOTE…`
struct CatCommand: ClientCommand {
    static let readsOffline = true
    static let configuration = CommandConfiguration(
        commandName: "cat",
        abstract: "Write files to standard output, one after the other.",
        discussion: """
            The bytes are checked against the file's checksum at the end: exit status 1 means that they must not be \
            relied on.

              brim cat /notes/today.txt
              brim cat /logs/2026-11.gz | zcat | grep error
              brim cat --version 3 /notes/today.txt    (as it was; see 'brim versions')
            """)

    @Option(help: ArgumentHelp("This version instead of the current one.", valueName: "number"))
    var version: Int64?

    @Argument(
        help: ArgumentHelp("Paths in the swarm.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var paths: [RemotePath]

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let output = StreamSink(file: LocalFile(borrowing: STDOUT_FILENO, name: "standard output"))
        for path in paths { try await client.read(path.path, version: version, into: output) }
    }
}
