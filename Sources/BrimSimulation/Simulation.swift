import BrimModel
import BrimWire

/// Runs whole swarms in one thread each, from one seed: the same seed gives the same run, in every process that hashes
/// deterministically (`SWIFT_DETERMINISTIC_HASHING`).
public struct Simulation: Sendable {
    /// How a run went.
    public struct Outcome: Sendable {
        public var seed: UInt64
        /// Steps taken, the one that broke a rule included.
        public var steps: Int
        /// Of everything that happened, in its order and at its time.
        public var hash: UInt64
        /// Pieces of tasks that were run.
        public var jobs: Int
        /// How long the swarm lived in its own time.
        public var lifetime: Duration
        /// The rule that was broken first; nil when all were kept.
        public var violation: String?
        public var counts: [Counted: Int]
    }

    /// Steps between two rests.
    private static let restEvery = 60
    /// How long a swarm without faults may take to come to rest.
    private static let restLimit = 900
    /// Seconds for which nothing may be under way: longer than a recount waits.
    private static let restSeconds = 8
    /// Seconds that pass in any case: room is held for so long for writers that never came, and the replicator looks
    /// again every half minute.
    private static let restLeast = 95

    private let keys: SwarmKeys

    public init() throws {
        keys = try SwarmKeys(password: "simulation") {
            SimulatedClock.epoch + (UnstructuredTasks.scheduler?.now ?? 0) / 1_000_000
        }
    }

    /// Runs one swarm; blocks. `reader` is given every line of the trace.
    public func run(
        seed: UInt64, steps: Int, flaw: Flaw? = nil, reader: ((String) -> Void)? = nil
    ) -> Outcome {
        let world = World(seed: seed, keys: keys, flaw: flaw, reader: reader)
        let taken = run(world, steps: steps)
        let outcome = Outcome(
            seed: seed, steps: taken, hash: world.hash, jobs: world.scheduler.jobs,
            lifetime: .microseconds(world.scheduler.now), violation: world.failure, counts: world.counts.value)
        world.end()
        return outcome
    }

    private func run(_ world: World, steps: Int) -> Int {
        world.scheduler.act { world.begin() }
        for step in 1...max(1, steps) {
            world.scheduler.act { world.step() }
            let pause =
                world.chance(0.8)
                ? world.duration(from: .milliseconds(1), to: .seconds(2))
                : world.duration(from: .seconds(1), to: .seconds(20))
            world.pass(pause)
            world.look()
            if world.failure == nil, step % Self.restEvery == 0 || step == steps { rest(world) }
            if world.failure != nil { return step }
        }
        return steps
    }

    /// Lets the swarm come to rest and checks what must hold then.
    private func rest(_ world: World) {
        world.scheduler.act { world.calm() }
        world.pass(.seconds(3))
        world.scheduler.act { world.scrub() }
        var quiet = 0
        var unrest: String?
        for second in 0..<Self.restLimit where world.failure == nil {
            world.pass(.seconds(1))
            world.look()
            unrest = world.ask { await world.unrest() } ?? nil
            quiet = unrest == nil ? quiet + 1 : 0
            if quiet >= Self.restSeconds, second >= Self.restLeast { return check(world) }
        }
        let miscounted = world.ask { await world.snapshot() }?.miscounted ?? []
        world.fail("no rest: \(unrest ?? "not for long enough"); miscounted: \(miscounted)")
    }

    private func check(_ world: World) {
        guard let snapshot = world.ask({ await world.snapshot() }) else { return }
        world.checkRest(snapshot)
        guard world.failure == nil else { return }
        defer { world.away.value = [] }
        let files = world.expectations.value.files.keys.sorted { $0.description < $1.description }
        for path in files where !world.expectations.value.contents(path).contains(nil) && world.isHeld(path, snapshot) {
            let isRead = Confined(false)
            let client = SimulatedClient(world: world, patience: 1)
            world.scheduler.act { client.start { isRead.value = try await $0.read(path) } }
            world.pass(.seconds(1)) { !client.process.isAlive }
            if !isRead.value { world.fail("at rest, \(path) cannot be read") }
        }
    }
}

extension World {
    /// Whether a server that is there should have this file.
    fileprivate func isHeld(_ path: BrimPath, _ snapshot: Snapshot) -> Bool {
        let contents = expectations.value.contents(path)
        let isExcused = snapshot.files.contains { contents.contains(Content($0.content)) && isLossExcused($0.content) }
        if isExcused { return false }
        // Without a server that is away no file is out of reach.
        if away.value.isEmpty { return true }
        return snapshot.files.contains { contents.contains(Content($0.content)) && $0.content.readable }
    }

    /// Lets time pass, until a rule is broken or `isDone`.
    func pass(_ duration: Duration, isDone: () -> Bool = { false }) {
        scheduler.run(until: scheduler.now + duration.microseconds) { failure != nil || isDone() }
    }

    /// Has something done now; nil when a rule was broken meanwhile.
    func ask<Value: Sendable>(_ work: @escaping @Sendable () async -> Value) -> Value? {
        let answer: Confined<Value?> = Confined(nil)
        scheduler.act { _ = Task(executorPreference: scheduler) { answer.value = await work() } }
        pass(.zero) { answer.value != nil }
        return answer.value
    }

    /// Checks what must always hold.
    func look() {
        _ = ask { [self] in await database.inspect { store in checkAlways(store.entries) } }
    }

    /// Kills everything and lets all tasks end.
    func end() {
        isOver.value = true
        scheduler.act {
            for master in masters.value.values { master.process.kill() }
            for server in servers { server.running?.process.kill() }
            for client in clients.value { client.kill() }
        }
        scheduler.run(until: .max) { false }
        masters.value = [:]
        machines.value = [:]
    }
}
