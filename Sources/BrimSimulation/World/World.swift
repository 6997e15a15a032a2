import BrimModel
import BrimWire

/// Everything that one simulation consists of.
final class World: Sendable {
    let seed: UInt64
    let flaw: Flaw?
    let scheduler: Scheduler
    let network: Network
    let database: Database
    let settings: SwarmSettings
    let keys: SwarmKeys
    /// Chance for everything but scheduling and the network, which have their own.
    let random: Confined<SeededGenerator>
    let expectations = Confined(Expectations())
    let machines: Confined<[ServerName: Machine]> = Confined([:])
    /// By name.
    let masters: Confined<[String: SimulatedMaster]> = Confined([:])
    /// Seconds by which the masters' calendars are ahead.
    let masterOffsets: [String: Confined<Int64>]
    /// Servers that stay stopped, also at rest.
    let away: Confined<Set<ServerName>> = Confined([])
    /// Clients at work.
    let clients: Confined<[Process]> = Confined([])
    /// Copies that chance has destroyed.
    let damaged: Confined<[BlobID: Set<ServerName>]> = Confined([:])
    /// Blobs of which copies went that a file which wants some would have kept: from the trash, or with a server that was
    /// forgotten.
    let weakened: Confined<Set<BlobID>> = Confined([])
    /// Servers that somebody drains or forgets now.
    let changing: Confined<Set<ServerName>> = Confined([])
    /// How many servers there ever were.
    let added = Confined(0)
    /// How often what was done: a run in which nothing happens proves nothing.
    let counts: Confined<[Counted: Int]> = Confined([:])
    /// Nothing is started any more.
    let isOver = Confined(false)
    private let trace: Confined<Trace>
    private let violation: Confined<String?> = Confined(nil)

    init(seed: UInt64, keys: SwarmKeys, flaw: Flaw?, reader: ((String) -> Void)?) {
        var random = SeededGenerator(seed: seed)
        self.seed = seed
        self.keys = keys
        self.flaw = flaw
        settings = Self.settings(&random)
        scheduler = Scheduler(seed: random.next())
        network = Network(scheduler: scheduler, seed: random.next())
        masterOffsets = Dictionary(
            uniqueKeysWithValues: SimulatedMaster.names.map { ($0, Confined<Int64>(0)) })
        database = Database(scheduler: scheduler, seed: random.next())
        self.random = Confined(random)
        trace = Confined(Trace(reader: reader))
    }

    private static func settings(_ random: inout SeededGenerator) -> SwarmSettings {
        func one<Value>(of values: [Value]) -> Value { values[Int.random(in: 0..<values.count, using: &random)] }
        var settings = SwarmSettings()
        settings.copies = one(of: [1, 2, 2, 3])
        settings.writeCopies = one(of: [1, 2, 2, 3])
        settings.maxCopies = one(of: [16, 16, 3])
        settings.floor = one(of: [0, 0, 0, 1, -1])
        settings.headroom = one(of: [.share(0), .share(0.02), .share(0.2), .bytes(3)])
        settings.heartbeat = .seconds(1)
        settings.suspectAfter = .seconds(4)
        settings.downAfter = .seconds(12)
        return settings
    }

    // MARK: - Who is there

    func machine(_ name: ServerName) -> Machine? { machines.value[name] }

    /// Servers that were not forgotten.
    var members: [Machine] { servers.filter { !$0.isForgotten.value } }

    /// By name.
    var servers: [Machine] { machines.value.values.sorted { $0.name < $1.name } }

    // MARK: - Chance

    func chance(_ probability: Double) -> Bool { random.value.chance(probability) }

    func number(_ range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &random.value) }

    func one<Value>(of values: [Value]) -> Value? { values.randomElement(using: &random.value) }

    /// A time that is short as often as long: each power of ten in between is equally likely.
    func duration(from least: Duration, to most: Duration) -> Duration {
        let (low, high) = (Double(least.microseconds), Double(most.microseconds))
        var power = 1.0
        let share = Double.random(in: 0...1, using: &random.value)
        // high/low to the power of `share`, without a mathematics library whose last bit may differ.
        var (factor, rest) = (high / low, share)
        for _ in 0..<20 {
            factor = factor.squareRoot()
            rest *= 2
            if rest >= 1 {
                power *= factor
                rest -= 1
            }
        }
        return .microseconds(Int64(low * power))
    }

    // MARK: - What happened

    func note(_ who: String, _ what: StaticString, _ number: Int64 = 0, _ detail: @autoclosure () -> String = "") {
        if isOver.value { return }
        trace.value.note(scheduler.now, who, what, number, detail: detail)
    }

    /// A rule is broken; the first is kept.
    func fail(_ what: String) {
        guard violation.value == nil else { return }
        note("VIOLATION", "", 0, what)
        violation.value = what
    }

    func count(_ what: Counted) { counts.value[what, default: 0] += 1 }

    var failure: String? { violation.value }
    var hash: UInt64 { trace.value.hash }
}

/// What is counted in a run.
public enum Counted: String, Sendable, CaseIterable {
    case written, removed, undeleted, restored, read, copied, givenUp, drained, forgotten, rotten, rest
}

/// One server: its disk, which outlives its slave, and its clock.
final class Machine: Sendable {
    let name: ServerName
    let zone: String
    let disk: SimulatedDisk
    let clock: SimulatedClock
    /// The one that runs now; nil while it is stopped.
    let slave: Confined<SimulatedSlave?> = Confined(nil)
    /// The `--quota` that its slave is started with.
    let requestedQuota: Confined<Int64> = Confined(0)
    /// Its swarm knows it no more.
    let isForgotten = Confined(false)
    /// When it was killed last, in microseconds; long ago before the first time.
    let stopped: Confined<Int64> = Confined(-1_000_000)

    init(name: ServerName, zone: String, disk: SimulatedDisk, scheduler: Scheduler) {
        self.name = name
        self.zone = zone
        self.disk = disk
        clock = SimulatedClock(scheduler: scheduler, offset: Confined(0))
    }

    var running: SimulatedSlave? { slave.value.flatMap { $0.process.isAlive ? $0 : nil } }
}
