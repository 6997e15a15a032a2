import ArgumentParser
import BrimMaster
import BrimModel
import BrimWire
import Foundation
import Logging

/// `brim mongod …`
struct MongodCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mongod",
        abstract: "Run and watch a MongoDB replica set of the swarm's own.",
        discussion: """
            On each of three machines: a member of the replica set that holds the metadata, secured with the swarm's password. \
            Give all of them the same list, and their masters, too.

              brim mongod run --members m1,m2,m3 --data /srv/brim-master
              brim master --mongodb m1,m2,m3
              brim mongod status --members m1,m2,m3
            """,
        subcommands: [Run.self, Status.self, URI.self])

    /// `brim mongod run`
    struct Run: DaemonCommand {
        static let configuration = CommandConfiguration(
            commandName: "run",
            abstract: "Run one member of the replica set.",
            discussion: """
                Where no member has data the first of the list begins a new set, once all of them answer. Where --data is that of \
                a master with a mongod of its own, stopped before, its data becomes that of the set, and the others copy it.
                """)

        @Option(
            help: ArgumentHelp("Where to listen. (default: 0.0.0.0:27017)", valueName: "host:port"),
            transform: parseMongodListen)
        var listen: HostPort?

        @Option(
            help: ArgumentHelp(
                "Which of the members this is. (default: the one that is an address of this machine)",
                valueName: "host[:port]"),
            transform: parseMember)
        var advertise: HostPort?

        @Option(help: ArgumentHelp("Where MongoDB keeps its data. (default: ./brim-data)", valueName: "directory"))
        var data: String?

        @Option(
            help: ArgumentHelp(
                "The mongod to start. BRIM_MONGOD. (default: on PATH, or as deploy/get-mongod installs it)",
                valueName: "path"))
        var mongod: String?

        @Option(
            help: ArgumentHelp("Memory for MongoDB's cache: 256MiB or more. (default: 256MiB)", valueName: "size"),
            transform: parseCache)
        var cache: Int64?

        @Flag(
            help: ArgumentHelp(
                "Once, when the other members are lost for good: go on without them. What only they had is lost, and they "
                    + "must never come back with their data."))
        var soleSurvivor = false

        @OptionGroup var members: MembersOptions
        @OptionGroup var global: GlobalOptions

        func run() async throws {
            let settings = try await members.secrets.settings()
            let members = try members.resolve(settings)
            let listen = try settings.value(
                "listen", flag: listen, default: HostPort(host: "0.0.0.0", port: defaultMongodPort),
                parse: parseMongodListen)
            let advertise = try settings.value("advertise", flag: advertise, parse: parseMember)
            if let advertise, !members.hosts.contains(advertise) {
                throw UsageError("--advertise \(advertise) is none of the members \(members).")
            }
            let configuration = MongodService.Configuration(
                listen: listen, own: try advertise ?? members.own(port: listen.port), members: members,
                dataDirectory: URL(fileURLWithPath: try settings.text("data", flag: data) ?? "brim-data"),
                mongodPath: try settings.text("mongod", flag: mongod),
                cache: try settings.value("cache", flag: cache, default: 256 << 20, parse: parseCache),
                isSoleSurvivor: soleSurvivor)
            let logger = Logger(label: "brim.mongod")
            try await serve([MongodService(configuration: configuration, logger: logger)], logger: logger)
        }
    }

    /// `brim mongod status`
    struct Status: BrimCommand {
        static let configuration = CommandConfiguration(
            commandName: "status",
            abstract: "Show how each member is; exit status 1 unless all are well.")

        @OptionGroup var members: MembersOptions
        @OptionGroup var global: GlobalOptions

        func run() async throws {
            let members = try members.resolve(try await members.secrets.settings())
            let reports = await members.look(Logger(label: "brim.mongod"))
            if global.json {
                try Console.printJSON(reports)
            } else {
                var table = Table([.left("MEMBER"), .left("STATE"), .right("BEHIND")])
                for report in reports {
                    table.add([report.member, report.state, report.behindSeconds.map { "\($0) s" } ?? "-"])
                }
                table.print()
            }
            let ill = reports.filter { !$0.isWell }
            guard ill.isEmpty else {
                throw BrimError(
                    .unavailable,
                    "not all members are well: "
                        + ill.map { "\($0.member) is \($0.state)\($0.error.map { " (\($0))" } ?? "")" }
                        .joined(separator: "; "),
                    advice: "A new member copies all data first; where one is silent, see the log of 'brim mongod run'")
            }
            guard reports.contains(where: { $0.state == "primary" }) else {
                throw BrimError(
                    .unavailable, "no member is primary", advice: "An election takes some 12 s: look again then")
            }
        }
    }

    /// `brim mongod uri`
    struct URI: BrimCommand {
        static let configuration = CommandConfiguration(
            commandName: "uri",
            abstract: "Print the URI for MongoDB's shells and tools. It holds a password.")

        @OptionGroup var members: MembersOptions
        @OptionGroup var global: GlobalOptions

        func run() async throws {
            let members = try members.resolve(try await members.secrets.settings())
            if global.json { return try Console.printJSON(["uri": members.uri]) }
            print(members.uri)
        }
    }
}

@Sendable private func parseMongodListen(_ text: String) throws -> HostPort {
    let listen = try HostPort(parsing: text, defaultHost: "0.0.0.0", defaultPort: defaultMongodPort)
    guard listen.port > 0 else {
        throw BrimError(.invalid, "'\(text)' names no port", advice: "Others must know it: write HOST:PORT")
    }
    return listen
}

@Sendable private func parseMember(_ text: String) throws -> HostPort {
    try mongodMembers(parsing: text)[0]
}

@Sendable private func parseCache(_ text: String) throws -> Int64 {
    let size = try ByteCount.parse(text)
    guard size >= 256 << 20 else {
        throw BrimError(.invalid, "a cache of \(text) is too small for MongoDB", advice: "Give 256MiB or more")
    }
    return size
}
