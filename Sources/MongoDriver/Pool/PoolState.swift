/// Which client of the pool does what, and who waits: decides, and leaves carrying out to ``ClientPool``.
///
/// Each slot is a client with a thread of its own. A job that comes takes an idle slot, the one used last (so that few
/// connections serve a quiet program), or waits in line. Time is a parameter.
struct PoolState {
    typealias Waiter = UInt64
    typealias Instant = ContinuousClock.Instant

    enum Phase: Sendable {
        /// Takes jobs. Followed by closing.
        case running
        /// Refuses jobs; some thread has not ended. Followed by closed.
        case closing
        case closed
    }

    enum Slot: Equatable {
        /// Followed by busy or stopped.
        case idle
        /// A job runs on it. Followed by idle, busy (the next in line), leased or stopped.
        case busy
        /// A cursor holds it, no job runs. Followed by busy or stopped.
        case leased
        /// The thread ends, or never began.
        case stopped
    }

    enum Admission: Equatable {
        case start(slot: Int)
        /// `timer`: wake me then, to expire those who have waited too long; nil if that is arranged already.
        case wait(timer: Instant?)
        case refuseFull
        case refuseClosed
    }

    enum Next: Equatable {
        case nothing
        case start(Waiter)
        /// Let the thread end.
        case stop
    }

    struct Closing: Equatable {
        /// Jobs to fail.
        var waiters: [Waiter] = []
        /// Threads to end that run no job.
        var slots: [Int] = []
    }

    let maxWaiting: Int
    let waitLimit: Duration
    private(set) var phase = Phase.running
    private(set) var slots: [Slot]
    private var idle: [Int]
    private var line: [(waiter: Waiter, deadline: Instant)] = []
    private var isTimerSet = false

    init(size: Int, maxWaiting: Int, waitLimit: Duration) {
        self.maxWaiting = maxWaiting
        self.waitLimit = waitLimit
        slots = Array(repeating: .idle, count: size)
        idle = Array((0..<size).reversed())
    }

    var waiting: Int { line.count }

    func count(_ slot: Slot) -> Int {
        slots.count { $0 == slot }
    }

    mutating func admit(_ waiter: Waiter, at now: Instant) -> Admission {
        guard phase == .running else { return .refuseClosed }
        if let slot = idle.popLast() {
            slots[slot] = .busy
            return .start(slot: slot)
        }
        guard line.count < maxWaiting else { return .refuseFull }
        let deadline = now + waitLimit
        line.append((waiter, deadline))
        defer { isTimerSet = true }
        return .wait(timer: isTimerSet ? nil : deadline)
    }

    /// The job on a busy slot has ended; `keepsLease` if it left a cursor open.
    mutating func finish(slot: Int, keepsLease: Bool) -> Next {
        guard phase == .running else {
            slots[slot] = .stopped
            return .stop
        }
        if keepsLease {
            slots[slot] = .leased
            return .nothing
        }
        guard !line.isEmpty else {
            slots[slot] = .idle
            idle.append(slot)
            return .nothing
        }
        return .start(line.removeFirst().waiter)
    }

    /// A cursor goes on with its slot. False if the pool has taken it back in order to close.
    mutating func resume(slot: Int) -> Bool {
        guard slots[slot] == .leased else { return false }
        slots[slot] = .busy
        return true
    }

    /// False if the waiter is not in line any more.
    mutating func cancel(_ waiter: Waiter) -> Bool {
        guard let index = line.firstIndex(where: { $0.waiter == waiter }) else { return false }
        line.remove(at: index)
        return true
    }

    /// The timer rang: those who have waited too long, and when to ring again.
    mutating func expire(at now: Instant) -> (expired: [Waiter], timer: Instant?) {
        let expired = line.prefix { $0.deadline <= now }.map(\.waiter)
        line.removeFirst(expired.count)
        isTimerSet = !line.isEmpty
        return (expired, line.first?.deadline)
    }

    mutating func close() -> Closing {
        guard phase == .running else { return Closing() }
        phase = .closing
        var closing = Closing(waiters: line.map(\.waiter))
        line.removeAll()
        idle.removeAll()
        for slot in slots.indices where slots[slot] != .busy {
            slots[slot] = .stopped
            closing.slots.append(slot)
        }
        return closing
    }

    /// Every thread has ended.
    mutating func allEnded() {
        phase = .closed
    }
}
