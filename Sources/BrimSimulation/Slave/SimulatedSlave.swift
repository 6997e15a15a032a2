import BrimMaster
import BrimModel
import BrimSlave
import BrimWire

/// One start of a slave: what `SlaveService` does, with a disk in memory. Quota, orders and locks are the real ones; what
/// does I/O in the real one takes time here and can be cut off by a crash.
final class SimulatedSlave: Sendable {
    /// A pull that was ordered.
    final class Pull: Sendable {
        let term: Int64
        let sequence: Int64
        let pull: Order.Pull
        let reservation: Reservation
        let isCancelled = Confined(false)

        init(term: Int64, sequence: Int64, pull: Order.Pull, reservation: Reservation) {
            self.term = term
            self.sequence = sequence
            self.pull = pull
            self.reservation = reservation
        }
    }

    struct State {
        var book: OrderBook
        var isMember = false
        /// The master that answered last.
        var master = SimulatedMaster.names[0]
        /// What the master is still to be told.
        var lost: Set<BlobID> = []
        var deleted: Set<BlobID> = []
        var completions: [(term: Int64, item: CompletionsRequest.Item)] = []
        var pulls: [Pull] = []
        var active = 0
        var isReporting = false
        var fault: ServerFault?
        var busy = 0
    }

    /// The signals that its loops wait for.
    struct Signals {
        let outbox = Signal()
        let report = Signal()
        let completions = Signal()
        let pulls = Signal()
    }

    static let pendingExpiry = Duration.seconds(20)
    static let commitPatience = Duration.seconds(10)
    /// Blobs in a page of a report.
    static let reportPage = 4
    static let pullsAtOnce = 3

    let process: Process
    let world: World
    let machine: Machine
    let quota: Quota
    /// The `--quota` given.
    let quotaAsked: Int64
    let state: Confined<State>
    let signals = Signals()
    /// The quota in force.
    let inForce: Confined<Int64>
    /// Bytes in use when it was looked at last: above a lowered quota they may only fall.
    let lowered: Confined<Int64>
    let orders = AsyncLock()
    let receiving = KeyedLock<BlobID>()

    var name: ServerName { machine.name }

    /// What it says of its use.
    var usage: ServerUsage {
        var usage = quota.usage()
        if world.flaw == .quotaIgnored { (usage.used, usage.reserved) = (0, 0) }
        return usage
    }
    var disk: SimulatedDisk { machine.disk }

    /// Compares the catalog with the blobs that are there, as every start does.
    init(world: World, machine: Machine, quotaAsked: Int64) {
        let disk = machine.disk
        let now = machine.clock.timestamp
        var lost: Set<BlobID> = []
        for blob in disk.state.value.rows.keys where disk.state.value.blobs[blob] == nil { lost.insert(blob) }
        for blob in lost { disk.state.value.rows[blob] = nil }
        for (blob, found) in disk.state.value.blobs where disk.state.value.rows[blob] == nil {
            disk.state.value.rows[blob] = SimulatedDisk.Row(
                blob: blob, isConfirmed: false, file: FileID(0), size: found.size, checksum: found.checksum,
                created: now.milliseconds)
        }
        let kept = disk.state.value
        let isSame = kept.quotaAsked == quotaAsked
        let book = QuotaBook(
            quota: isSame ? kept.quota ?? quotaAsked : quotaAsked, stored: kept.stored, files: Int64(kept.blobs.count))
        let fault: Confined<Bool> = Confined(false)
        quota = Quota(book) { fault.value ? 0 : disk.state.value.available }
        isFailing = fault
        inForce = Confined(quota.bytes)
        lowered = Confined(kept.stored)
        var state = State(book: OrderBook(kept.position))
        state.lost = lost
        self.state = Confined(state)
        self.world = world
        self.machine = machine
        self.quotaAsked = quotaAsked
        process = Process(machine.name.rawValue, scheduler: world.scheduler)
    }

    private let isFailing: Confined<Bool>

    /// The disk refuses writes from now on, until the next start.
    func markFailing() {
        isFailing.value = true
        state.value.fault = ServerFault(reason: "input/output error", isReadable: true)
    }

    func start() {
        world.note(process.name, "starts", quota.bytes)
        process.start { [self] in
            await withDiscardingTaskGroup { group in
                for loop in [stayMember, sendMail, report, askAboutPending, sendCompletions, carryOutPulls] {
                    group.addTask { await loop() }
                }
            }
        }
    }

    // MARK: - What the loops share

    func master<Reply: Sendable>(
        deadline: Duration = .seconds(10), _ work: @escaping @Sendable (MasterCore) async throws -> Reply
    ) async throws -> Reply {
        var turn = [state.value.master] + SimulatedMaster.names.filter { $0 != state.value.master }
        var failure = BrimError(.unavailable, "no master answers")
        while let name = turn.first {
            turn.removeFirst()
            do {
                let reply = try await world.callMaster(name, from: process, deadline: deadline, work)
                state.value.master = name
                return reply
            } catch let error as BrimError where error.code == .notLeader {
                failure = BrimError(.unavailable, "the leader does not answer")
                if let leader = error.leader.flatMap(SimulatedMaster.name(at:)), turn.contains(leader) {
                    state.value.master = leader
                }
            } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
                failure = error
            }
        }
        throw failure
    }

    func list(_ blobs: [BlobID]) -> BlobList { BlobList(name: name, id: disk.state.value.id, blobs: blobs) }

    func lost(_ blobs: some Collection<BlobID>) {
        guard !blobs.isEmpty else { return }
        state.value.lost.formUnion(blobs)
        signals.outbox.raise()
    }

    func deleted(_ blobs: some Collection<BlobID>) {
        guard !blobs.isEmpty else { return }
        state.value.deleted.formUnion(blobs)
        signals.outbox.raise()
    }

    func sleep(_ duration: Duration) async throws { try await world.scheduler.sleep(duration) }

    /// A pause between tries.
    func backOff() async throws { try await sleep(.milliseconds(world.number(100...1500))) }

    /// The disk at work. Throws `CancellationError` when the slave was killed meanwhile.
    func sync() async throws {
        await world.scheduler.pause(.microseconds(world.number(50...8000)))
        try process.check()
    }

    /// Changes what is on disk, durably. What was on its way when the slave was killed may have been done.
    func durably<Value>(_ change: (inout SimulatedDisk.State) -> Value) async throws -> Value {
        try process.check()
        await world.scheduler.pause(.microseconds(world.number(50...8000)))
        if !process.isAlive, world.chance(0.5) { throw CancellationError() }
        let value = change(&disk.state.value)
        try process.check()
        return value
    }
}
