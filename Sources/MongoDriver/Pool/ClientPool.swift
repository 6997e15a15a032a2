import CMongo
import Foundation
import Synchronization

/// The only type that carries a C pointer from one isolation to another.
///
/// Safe because it is made for a pool alone, which libmongoc lets any thread use; its connections end once after the last
/// thread has ended, and it is freed when nobody holds the `ClientPool` any more. Clients, sessions and cursors stay on the thread that took them.
struct PoolHandle: @unchecked Sendable {
    let pointer: OpaquePointer
}

/// As many threads as clients, each with a client of its own, and a bounded line of those who wait for one.
///
/// A blocking call runs on such a thread, never on one of Swift's. What to do is decided by ``PoolState``.
final class ClientPool: Sendable {
    private struct Shared {
        var state: PoolState
        var jobs: [PoolState.Waiter: Job] = [:]
        var lastWaiter: PoolState.Waiter = 0
        var mailboxes: [Int: Mailbox] = [:]
        /// Threads that have not ended.
        var threads = 0
        var closeContinuations: [CheckedContinuation<Void, Never>] = []
    }

    private let handle: PoolHandle
    private let shared: Mutex<Shared>
    private let size: Int
    private let timerQueue = DispatchQueue(label: "mongo.pool.timer")

    init(handle: PoolHandle, size: Int, maxWaiting: Int, waitLimit: Duration) {
        self.handle = handle
        self.size = size
        shared = Mutex(Shared(state: PoolState(size: size, maxWaiting: maxWaiting, waitLimit: waitLimit)))
    }

    var status: MongoPoolStatus {
        shared.withLock { shared in
            let state = shared.state
            return MongoPoolStatus(
                state: state.phase == .running ? .running : state.phase == .closing ? .closing : .closed,
                size: size, idle: state.count(.idle), busy: state.count(.busy), leased: state.count(.leased),
                waiting: state.waiting)
        }
    }

    deinit { cmongo_pool_free(handle.pointer) }

    var primary: MongoPrimaryStatus {
        // In this order: of a change in between, the number at the least is an old one.
        let changes = cmongo_pool_primary_changes(handle.pointer)
        return MongoPrimaryStatus(changes: changes, electable: Int(cmongo_pool_electable(handle.pointer)))
    }

    /// Whether it takes work: what runs without an end must look.
    var isRunning: Bool { shared.withLock { $0.state.phase == .running } }

    // MARK: Jobs

    /// Runs `body` on a thread of the pool. If it leaves a cursor open on the connection, the lease goes with the result.
    /// Throws `.cancelled`, `.timeout`, `.overloaded` or `.closed` if it does not come to run, and `.cancelled` at once when
    /// the task is cancelled while it runs: a server that hangs holds up a thread, not those who gave up waiting for it.
    func run<T: Sendable>(_ body: @escaping @Sendable (Connection) throws -> T) async throws -> (T, Lease?) {
        let waiter = shared.withLock { shared in
            shared.lastWaiter += 1
            return shared.lastWaiter
        }
        let answer = Answer<(T, Lease?)>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard !Task.isCancelled else {
                    return continuation.resume(throwing: MongoError(.cancelled, "the task was cancelled already"))
                }
                answer.expect(continuation)
                admit(waiter, makeJob(answer, body))
                // A handler that ran before the job was in line found nothing to cancel.
                if Task.isCancelled { cancel(waiter, answer) }
            }
        } onCancel: {
            cancel(waiter, answer)
        }
    }

    /// Runs `body` on the thread of a lease; throws `.closed` if the pool has taken it back.
    fileprivate func run<T: Sendable>(
        on lease: Lease, _ body: @escaping @Sendable (Connection) throws -> T
    ) async throws -> (T, Lease?) {
        let answer = Answer<(T, Lease?)>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                answer.expect(continuation)
                let job = makeJob(answer, body)
                guard let mailbox = resume(lease) else { return job.fail(closedError) }
                mailbox.put(job)
                if Task.isCancelled { answer.abandon() }
            }
        } onCancel: {
            answer.abandon()
        }
    }

    fileprivate func release(_ lease: Lease) {
        let job = Job(
            run: { connection in
                connection.closeCursor()
                return Job.Outcome(keepsLease: false, report: {})
            }, fail: { _ in })
        resume(lease)?.put(job)
    }

    private func resume(_ lease: Lease) -> Mailbox? {
        shared.withLock { shared in
            shared.state.resume(slot: lease.slot) ? shared.mailboxes[lease.slot] : nil
        }
    }

    private func makeJob<T: Sendable>(
        _ answer: Answer<(T, Lease?)>,
        _ body: @escaping @Sendable (Connection) throws -> T
    ) -> Job {
        Job(
            run: { [self] connection in
                let result = Result { try body(connection) }
                if case .failure = result { connection.closeCursor() }
                let keepsLease = connection.hasOpenCursor
                let lease = keepsLease ? Lease(pool: self, slot: connection.slot) : nil
                return Job.Outcome(
                    keepsLease: keepsLease,
                    report: {
                        if !answer.give(result.map { ($0, lease) }) { lease?.release() }
                    })
            },
            fail: { answer.give(.failure($0)) })
    }

    private func admit(_ waiter: PoolState.Waiter, _ job: Job) {
        let (admission, mailbox) = shared.withLock { shared -> (PoolState.Admission, Mailbox?) in
            let admission = shared.state.admit(waiter, at: .now)
            switch admission {
            case .start(let slot): return (admission, openMailbox(of: slot, &shared))
            case .wait: shared.jobs[waiter] = job
            case .refuseFull, .refuseClosed: break
            }
            return (admission, nil)
        }
        switch admission {
        case .start: mailbox?.put(job)
        case .wait(let timer): timer.map(setTimer)
        case .refuseClosed: job.fail(closedError)
        case .refuseFull:
            job.fail(MongoError(.overloaded, "all clients are in use and the line is full: \(status)"))
        }
    }

    private func cancel<T>(_ waiter: PoolState.Waiter, _ answer: Answer<T>) {
        let job = shared.withLock { shared in
            shared.state.cancel(waiter) ? shared.jobs.removeValue(forKey: waiter) : nil
        }
        if let job {
            job.fail(MongoError(.cancelled, "the task was cancelled while it waited for a client"))
        } else {
            answer.abandon()
        }
    }

    private func setTimer(_ instant: PoolState.Instant) {
        let seconds = max(0, (instant - .now) / .seconds(1))
        timerQueue.asyncAfter(deadline: .now() + seconds) { [weak self] in self?.expire() }
    }

    private func expire() {
        let (jobs, timer) = shared.withLock { shared in
            let (expired, timer) = shared.state.expire(at: .now)
            return (expired.compactMap { shared.jobs.removeValue(forKey: $0) }, timer)
        }
        timer.map(setTimer)
        guard !jobs.isEmpty else { return }
        let error = MongoError(.timeout, "no client of the pool became free in time: \(status)")
        jobs.forEach { $0.fail(error) }
    }

    private var closedError: MongoError {
        MongoError(.closed, "the MongoDB client has been closed")
    }

    // MARK: Threads

    /// Starts the slot's thread if it is the first time.
    private func openMailbox(of slot: Int, _ shared: inout Shared) -> Mailbox {
        if let mailbox = shared.mailboxes[slot] { return mailbox }
        let mailbox = Mailbox()
        shared.mailboxes[slot] = mailbox
        shared.threads += 1
        let thread = Thread { [self] in work(slot: slot, mailbox: mailbox) }
        thread.name = "mongo-\(slot)"
        thread.start()
        return mailbox
    }

    /// What the thread of a slot does from its first job until the pool is closed.
    private func work(slot: Int, mailbox: Mailbox) {
        let connection = Connection(pool: handle, slot: slot)
        while let first = mailbox.take() {
            var next: Job? = first
            while let job = next {
                let outcome = job.run(connection)
                next = finish(slot: slot, keepsLease: outcome.keepsLease)
                outcome.report()
            }
        }
        connection.close()
        threadEnded()
    }

    private func finish(slot: Int, keepsLease: Bool) -> Job? {
        let (job, ends) = shared.withLock { shared -> (Job?, Mailbox?) in
            switch shared.state.finish(slot: slot, keepsLease: keepsLease) {
            case .nothing: (nil, nil)
            case .start(let waiter): (shared.jobs.removeValue(forKey: waiter), nil)
            case .stop: (nil, shared.mailboxes[slot])
            }
        }
        ends?.close()
        return job
    }

    // MARK: Closing

    /// Returns when every thread has ended.
    func close() async {
        await withCheckedContinuation { continuation in
            let isClosed = shared.withLock { shared in
                if shared.state.phase == .closed { return true }
                shared.closeContinuations.append(continuation)
                return false
            }
            if isClosed { continuation.resume() } else { beginClosing() }
        }
    }

    /// Fails those who wait and lets threads end as soon as they are not busy; does not wait for them.
    func beginClosing() {
        let (jobs, mailboxes, isOver) = shared.withLock { shared in
            let wasRunning = shared.state.phase == .running
            let closing = shared.state.close()
            return (
                closing.waiters.compactMap { shared.jobs.removeValue(forKey: $0) },
                closing.slots.compactMap { shared.mailboxes[$0] },
                wasRunning && shared.threads == 0
            )
        }
        jobs.forEach { $0.fail(closedError) }
        mailboxes.forEach { $0.close() }
        if isOver { end() }
    }

    private func threadEnded() {
        let isOver = shared.withLock { shared in
            shared.threads -= 1
            return shared.threads == 0
        }
        if isOver { end() }
    }

    private func end() {
        cmongo_pool_end(handle.pointer)
        let continuations = shared.withLock { shared in
            shared.state.allEnded()
            shared.mailboxes.removeAll()
            defer { shared.closeContinuations.removeAll() }
            return shared.closeContinuations
        }
        continuations.forEach { $0.resume() }
    }
}

/// The right to go on with the cursor that is open on a slot's connection.
struct Lease: Sendable {
    fileprivate let pool: ClientPool
    fileprivate let slot: Int

    /// The lease comes back with the result as long as the cursor is open.
    func run<T: Sendable>(_ body: @escaping @Sendable (Connection) throws -> T) async throws -> (T, Lease?) {
        try await pool.run(on: self, body)
    }

    /// Closes the cursor and gives the client back, without waiting for it.
    func release() {
        pool.release(self)
    }
}
