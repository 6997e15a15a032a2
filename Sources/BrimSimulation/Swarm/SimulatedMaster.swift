import BrimMaster
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// One start of a master: the real services over the simulated store, network and clock.
final class SimulatedMaster: Sendable {
    static let name = "master"

    let process: Process
    private let world: World
    private let clock: SimulatedClock
    private let running: Confined<MasterCore?> = Confined(nil)

    init(world: World, offset: Confined<Int64>) {
        self.world = world
        process = Process(Self.name, scheduler: world.scheduler)
        clock = SimulatedClock(scheduler: world.scheduler, offset: offset)
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
        world.note(Self.name, "starts")
        process.start { [self] in
            do {
                let core = try await begin()
                running.value = core
                world.note(Self.name, "serves")
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
            id: start, holder: start, version: "1", lease: .seconds(2), url: { "http://\(Self.name):4242" })
        if world.flaw == .floorIgnored { settings.floor -= 1 }
        while true {
            do {
                let core = try await MasterCore(
                    settings: settings, keys: world.keys, identity: identity,
                    store: SimulatedStore(world: world, process: process),
                    slaves: SimulatedSlaveLink(world: world, process: process), masters: NoOtherMasters(),
                    clock: clock, random: SeededGenerator(seed: world.random.value.next()),
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

/// There is one master.
private struct NoOtherMasters: MasterPeers {
    private static let alone = BrimError(.unavailable, "there is no other master")

    func grant(_ leader: String, _ request: GrantRequest) async throws -> WritesReply { throw Self.alone }
    func notice(_ leader: String, _ notice: MasterNotice) async throws { throw Self.alone }
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
            return slave.quota.usage()
        }
    }

    func usage(_ slave: Peer) async throws -> ServerUsage {
        try await world.call(slave.server, from: process, deadline: .seconds(2)) { $0.quota.usage() }
    }
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

    /// A call to the master that runs when the request arrives.
    func callMaster<Reply: Sendable>(
        from process: Process, deadline: Duration, _ work: @escaping @Sendable (MasterCore) async throws -> Reply
    ) async throws -> Reply {
        try await network.call(
            from: process, to: SimulatedMaster.name, { self.master.value?.process }, deadline: deadline,
            repeats: process.name != SimulatedClient.name
        ) {
            guard let master = self.master.value else { throw BrimError(.unavailable, "the master has just stopped") }
            return try await work(try master.core)
        }
    }
}
