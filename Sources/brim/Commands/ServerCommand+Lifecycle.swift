import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

extension ServerCommand {
    /// `brim server drain NAME`
    struct Drain: ClientCommand {
        static let configuration = CommandConfiguration(
            commandName: "drain",
            abstract: "Empty a server: have its files copied to the others.",
            discussion: """
                Its copies stop counting at once and nothing new goes there, but they stay readable and are copied to other \
                servers. It is kept over restarts, until 'undrain' or 'forget'. 'brim status' tells how much is safe \
                elsewhere.

                  brim server drain alpha
                  brim status                  # alpha: draining: 120 files (1.2 GB) safe elsewhere, 30 (300 MB) to copy
                  brim server forget alpha     # when all is safe; then stop its slave

                For a server that is silent it also says that it is really gone: its copies are made again at once, also \
                when several fell silent together.
                """)

        @Argument(help: "The server's name.", transform: { try ServerName(validating: $0) })
        var name: ServerName

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var global: GlobalOptions

        func run(_ client: BrimClient) async throws {
            try ServerCommand.show(try await client.drain(name), asJSON: global.json)
        }
    }

    /// `brim server undrain NAME`
    struct Undrain: ClientCommand {
        static let configuration = CommandConfiguration(
            commandName: "undrain",
            abstract: "Use a server again that was draining.",
            discussion: """
                The copies it still has count again without being copied; those that were made elsewhere meanwhile are \
                spare.

                  brim server undrain alpha
                """)

        @Argument(help: "The server's name.", transform: { try ServerName(validating: $0) })
        var name: ServerName

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var global: GlobalOptions

        func run(_ client: BrimClient) async throws {
            try ServerCommand.show(try await client.undrain(name), asJSON: global.json)
        }
    }

    /// `brim server forget NAME [--lose-data]`
    struct Forget: ClientCommand {
        static let configuration = CommandConfiguration(
            commandName: "forget",
            abstract: "Strike a server off the list for good.",
            discussion: """
                For a server that is draining (whether or not it answers) or down. Refused, with the first files it would \
                cost, while a file has no other copy that can be read. Returns when nothing names the server any more, \
                which takes some seconds.

                  brim server forget alpha
                  brim server forget alpha --lose-data     # its disk is broken: what only it had is lost

                Its slave, if it still runs, ends; its data directory never joins again. To use the machine again, start \
                a slave there with a new --data directory. Moving 'blobs' from the old one into the new one first spares \
                copying: what is still wanted is taken over.
                """)

        @Argument(help: "The server's name.", transform: { try ServerName(validating: $0) })
        var name: ServerName

        @Flag(help: "Go on even where files lose their last copy that can be read.")
        var loseData = false

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var global: GlobalOptions

        func run(_ client: BrimClient) async throws {
            let reply = try await client.forget(name, losingData: loseData)
            if global.json { return try Console.printJSON(reply) }
            let lost = reply.lostFiles.map { $0 > 0 ? "; \(counted($0, "file")) without another readable copy" : "" }
            print("\(reply.server): forgotten\(lost ?? "")")
        }
    }

    /// `brim server zone NAME ZONE`
    struct Zone: ClientCommand {
        static let configuration = CommandConfiguration(
            commandName: "zone",
            abstract: "Say in which zone a server is.",
            discussion: """
                Copies of a file go to different zones (racks, rooms, power lines) where they can. Copies that are there \
                already stay. It is kept until the slave is started with another --zone than the last time.

                  brim server zone alpha rack-7
                """)

        @Argument(help: "The server's name.", transform: { try ServerName(validating: $0) })
        var name: ServerName

        @Argument(help: "Any name, the same for servers that may fail together.")
        var zone: String

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var global: GlobalOptions

        func run(_ client: BrimClient) async throws {
            let server = try await client.setZone(name, zone)
            if global.json { return try Console.printJSON(server) }
            print("\(server.name): zone \(Console.shown(server.zone))")
        }
    }

    fileprivate static func show(_ server: ServerStatus, asJSON: Bool) throws {
        if asJSON { return try Console.printJSON(server) }
        print("\(server.name): \(server.remark.map { Console.shown($0) } ?? server.state.rawValue)")
    }
}
