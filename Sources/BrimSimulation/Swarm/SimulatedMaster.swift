import BrimMaster
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// One start of a master: the real services over the simulated store, network and clock.
final class SimulatedMaster: Sendable {
    static let names = ["master-1", "master-2"]

    /// Where one of them is reached, and who is reached there.
    static func url(of name: String) -> String { "http://\(name):4242" }
    static func name(at url: String) -> String? { names.first { self.url(of: $0) == url } }

    let name: String
    let process: Process
    private let world: World
    private let clock: SimulatedClock
    private let running: Confined<MasterCore?> = Confined(nil)

    init(_ name: String, world: World) {
        self.name = name
        self.world = world
        process = Process(name, scheduler: world.scheduler)
        clock = SimulatedClock(scheduler: world.scheduler, offset: world.masterOffsets[name] ?? Confined(0))
    }

    /// Throws `.unavailable` until it serves.
    var core: MasterCore {
        get throws {
            guard let core = running.value, process.isAlive else {
                throw BrimError(.unavailable, "the master is not ready")
            }
            return core
        }
    }

    /// Whether it serves.
    var isReady: Bool { running.value != nil && process.isAlive }

    func start() {
        world.note(name, "starts")
        process.start { [self] in
            do {
                let core = try await begin()
                running.value = core
                world.note(name, "serves")
                try await run(core.loops)
                if process.isAlive { world.fail("a loop of the master has ended") }
            } catch is CancellationError {
                return
            } catch {
                if process.isAlive { world.fail("the master has ended: \(error)") }
            }
        }
    }

    private func begin() async throws -> MasterCore {
        var settings = world.settings
        let start = String(world.random.value.next(), radix: 36)
        let identity = MasterCore.Identity(
            id: start, holder: start, version: "1", lease: .seconds(2), url: { [name] in Self.url(of: name) })
        if world.flaw == .floorIgnored { settings.floor -= 1 }
        while true {
            do {
                let core = try await MasterCore(
                    settings: settings, keys: world.keys, identity: identity,
                    store: SimulatedStore(world: world, process: process),
                    slaves: SimulatedSlaveLink(world: world, process: process),
                    masters: SimulatedMasterPeers(world: world, process: process),
                    clock: SwarmClock(clock), random: SeededGenerator(seed: world.random.value.next()),
                    logger: Logger(label: "master") { _ in SwiftLogNoOpLogHandler() })
                return core
            } catch let error as BrimError where error.code == .unavailable {
                try await clock.sleep(for: .seconds(1))
            }
        }
    }

    private func run(_ loops: [any Service]) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for loop in loops { group.addTask { try await loop.run() } }
            try await group.next()
            group.cancelAll()
        }
    }
}

/// A master's calls to the leader.
struct SimulatedMasterPeers: MasterPeers {
    let world: World
    let process: Process

    func grant(_ leader: String, _ request: GrantRequest) async throws -> WritesReply {
        try await world.callMaster(SimulatedMaster.name(at: leader) ?? "", from: process, deadline: .seconds(30)) {
            try await $0.grant(request)
        }
    }

    func notice(_ leader: String, _ notice: MasterNotice) async throws {
        try await world.callMaster(SimulatedMaster.name(at: leader) ?? "", from: process, deadline: .seconds(5)) {
            try $0.notice(notice)
        }
    }
}

/// A master's calls to slaves.
struct SimulatedSlaveLink: SlaveLink {
    let world: World
    let process: Process

    func order(_ slave: Peer, _ batch: OrderBatch, deadline: Duration) async throws -> OrderReply {
        let pulls = batch.orders.compactMap(\.pull?.blob)
        if !pulls.isEmpty { Judge(world: world).ordered(pulls, to: slave.server) }
        return try await world.call(slave.server, from: process, deadline: deadline) { try await $0.handle(batch) }
    }

    func setQuota(_ slave: Peer, _ quota: Int64) async throws -> ServerUsage {
        try await world.call(slave.server, from: process, deadline: .seconds(10)) { slave in
            try await slave.apply(quota: quota)
            return slave.usage
        }
    }

    func usage(_ slave: Peer) async throws -> ServerUsage {
        try await world.call(slave.server, from: process, deadline: .seconds(2)) { $0.usage }
    }

    /// Slaves that are simulated know all masters.
    func introduce(_ masters: [String], to slave: Peer) async throws {}
}

extension World {
    /// A call to the slave that runs on a server when the request arrives.
    func call<Reply: Sendable>(
        _ server: ServerName, from process: Process, deadline: Duration,
        _ work: @escaping @Sendable (SimulatedSlave) async throws -> Reply
    ) async throws -> Reply {
        try await network.call(
            from: process, to: server.rawValue, { self.machine(server)?.running?.process }, deadline: deadline,
            repeats: process.name != SimulatedClient.name
        ) {
            guard let slave = self.machine(server)?.running else {
                throw BrimError(.unavailable, "\(server) has just stopped")
            }
            return try await work(slave)
        }
    }

    /// A call to the master of this name that runs when the request arrives.
    func callMaster<Reply: Sendable>(
        _ name: String, from process: Process, deadline: Duration,
        _ work: @escaping @Sendable (MasterCore) async throws -> Reply
    ) async throws -> Reply {
        try await network.call(
            from: process, to: name, { self.masters.value[name]?.process }, deadline: deadline,
            repeats: process.name != SimulatedClient.name
        ) {
            guard let master = self.masters.value[name] else {
                throw BrimError(.unavailable, "the master has just stopped")
            }
            return try await work(try master.core)
        }
    }

    /// The one that leads, as it thinks.
    var leader: MasterCore? {
        SimulatedMaster.names.lazy.compactMap { try? self.masters.value[$0]?.core }.first(where: \.leads)
    }
}
