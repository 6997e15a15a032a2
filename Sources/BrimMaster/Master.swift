import BrimMetadata
import BrimModel
import BrimWire
import Foundation
import Hummingbird
import Logging
import NIOPosix
import ServiceLifecycle

/// A running master: its services, and the server that opens them to the network.
struct Master: Sendable {
    let server: BrimServer
    private let loops: [any BackgroundLoop]
    private let configuration: MasterConfiguration
    private let advertised: Latch<String>
    private let logger: Logger

    /// Prepares the database. `holder` names this master in the lease.
    init(
        configuration: MasterConfiguration, holder: String, store: any MetadataStore, peers: PeerClient,
        clock: SwarmClock = SwarmClock(), logger: Logger
    ) async throws {
        let keys = configuration.keys.by(clock)
        let advertised = Latch<String>()
        let slaves = SlaveCaller(peers: peers, keys: keys, subject: "master")
        let core = try await MasterCore(
            settings: configuration.settings, given: configuration.given, keys: keys,
            identity: MasterCore.Identity(
                id: UUID().uuidString.lowercased(), holder: holder, version: configuration.version,
                lease: configuration.lease, url: { try await advertised.get() }),
            store: store, slaves: slaves, drills: slaves, masters: MasterCaller(peers: peers, keys: keys),
            policies: configuration.policies + [Self.program(configuration, logger)].compactMap(\.self),
            clock: clock, logger: logger)
        let feed = ChangeFeed(store: store, logger: logger) { await FeedRoutes.swarm(core) }
        loops = core.loops + [TransactionReaper(store: store, logger: logger), feed]
        let router = brimRouter(keys: keys, logger: logger)
        let gate = LeaderGate(leader: core.leader, peers: peers)
        FileRoutes(core: core).add(to: router)
        NamespaceRoutes(core: core).add(to: router)
        TrashRoutes(core: core).add(to: router)
        ServerRoutes(core: core, gate: gate).add(to: router)
        NodeRoutes(core: core).add(to: router)
        FeedRoutes(core: core, feed: feed).add(to: router)
        PolicyRoutes(core: core).add(to: router)
        CareRoutes(
            core: core, gate: gate, verify: core.verifyService(slaves),
            workers: WorkersService(own: loops.map(\.worker), slaves: slaves)
        ).add(to: router)
        let views = core.views
        router.get("/readyz") { _, _ in
            _ = try await views.current()
            guard core.leader.hasSeenLeader else { throw Refusal.nobodyLeads }
            return "ready\n"
        }

        server = BrimServer(
            label: "master", host: configuration.listen.host, port: configuration.listen.port,
            fallbackPorts: configuration.fallbackPorts, router: router, failure: { try await views.untilLost() },
            logger: logger)
        self.configuration = configuration
        self.advertised = advertised
        self.logger = logger
    }

    private static func program(_ configuration: MasterConfiguration, _ logger: Logger) -> PolicyProgram? {
        configuration.policyProgram.map {
            PolicyProgram(path: $0, deadline: configuration.policyDeadline, logger: logger)
        }
    }

    /// Serves until shut down; `address` is told the URL once it listens.
    func run(address: Latch<String>) async throws {
        let announcement = Announcement(
            server: server, configuration: configuration, address: address, advertised: advertised, logger: logger)
        // Shut down in reverse: first no more requests, then the loops that they use.
        try await ServiceGroup(services: loops + [server, announcement], logger: logger).run()
    }
}

/// Tells where the master listens, once it does.
private struct Announcement: Service, CustomStringConvertible {
    /// For logs.
    var description: String { "announcement" }

    let server: BrimServer
    let configuration: MasterConfiguration
    /// The URL on this machine, and the one that others are told.
    let address: Latch<String>
    let advertised: Latch<String>
    let logger: Logger

    func run() async throws {
        let port = try await server.boundPort
        let host = configuration.listen.host
        let isAnywhere = host == "0.0.0.0" || host == "::"
        let url = "http://\(HostPort(host: isAnywhere ? "127.0.0.1" : host, port: port))"
        let others = try await isAnywhere || configuration.advertise != nil ? advertise(port) : url
        advertised.set(.success(others))
        logger.info("master is ready", metadata: ["master.url": "\(url)", "master.advertised": "\(others)"])
        address.set(.success(url))
        try? await gracefulShutdown()
    }

    /// Where others reach this master: as they are told to, else the address from which it reaches MongoDB or the world.
    private func advertise(_ port: Int) async throws -> String {
        if let told = configuration.advertise {
            return "http://\(HostPort(host: told.host, port: told.port > 0 ? told.port : port))"
        }
        let hosts = configuration.mongodb.map(Self.hosts) ?? []
        let host = try await NIOThreadPool.singleton.runIfActive { LocalAddress.ofThisMachine(towards: hosts) }
        return "http://\(HostPort(host: host ?? "127.0.0.1", port: port))"
    }

    /// The hosts that a MongoDB URI names.
    private static func hosts(of uri: String) -> [HostPort] {
        guard let scheme = uri.range(of: "mongodb://"), scheme.lowerBound == uri.startIndex else { return [] }
        let authority = uri[scheme.upperBound...].prefix { $0 != "/" && $0 != "?" }
        return authority.split(separator: "@").last.map { hosts in
            hosts.split(separator: ",").compactMap {
                try? HostPort(parsing: String($0), defaultHost: "localhost", defaultPort: 27017)
            }
        } ?? []
    }
}
