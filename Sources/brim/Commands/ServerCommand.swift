import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim server …`
struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "Change one server.",
        subcommands: [Drain.self, Undrain.self, Forget.self, Quota.self, Zone.self])

    /// `brim server quota NAME SIZE`
    struct Quota: ClientCommand {
        static let configuration = CommandConfiguration(
            commandName: "quota",
            abstract: "Set how much of its disk a server may use.",
            discussion: """
                Returns when slave and master have it. Below what is used, use only falls from then on.

                  brim server quota alpha 2T
                """)

        @Argument(help: "The server's name.", transform: { try ServerName(validating: $0) })
        var name: ServerName

        @Argument(
            help: "Bytes, or for example 500M, 2T (powers of 1000), 64GiB (of 1024).",
            transform: { try ByteCount.parse($0) })
        var size: Int64

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var global: GlobalOptions

        func run(_ client: BrimClient) async throws {
            let server = try await client.setQuota(name, bytes: size)
            if global.json { return try Console.printJSON(server) }
            let used = ByteCount.format(server.used)
            print("\(server.name): quota \(ByteCount.format(server.quota)), used \(used)")
            if let remark = server.remark { print("\(server.name): \(remark)") }
        }
    }
}
