import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Follows the changes of the namespace once, for all who listen to this master.
///
/// Listeners take from one bounded buffer at their own pace and keep nothing here but their place; one that is slower than
/// the buffer is long is told so. What is older than the buffer is read from the database, for a few listeners at a time.
final class ChangeFeed: BackgroundLoop {
    let worker = Worker("change feed", unit: "changes")

    /// Listeners at a time.
    static let listeners = 4096
    /// Of these, such as read what is older than the buffer.
    static let latecomers = 2
    /// Pages of snapshots that are read at a time.
    static let pages = 8
    /// How often listeners hear that there is nothing.
    static let pace = Duration.seconds(1)
    /// How often listeners hear of changes, at most: what comes in between is told together.
    static let beat = Duration.milliseconds(100)
    /// Changes, and bytes, that are told at once.
    static let batch = 500
    static let batchBytes = 256 * 1024

    private struct State {
        /// nil before the first position is known.
        var buffer: FeedBuffer?
        /// When `buffer.head` was all there was.
        var current: ContinuousClock.Instant?
        /// When the database was asked for what comes next.
        var asked = ContinuousClock.now
        /// Everything up to the position was there at that time: once the buffer has it, it is that recent.
        var mark: (position: ChangePosition, at: ContinuousClock.Instant)?
        /// Where the swarm is, and how often that has changed.
        var swarm: (reply: SwarmReply, number: Int)?
        var listeners = 0
        var latecomers = 0
        var pages = 0
        /// Beats at which those who wait are to be woken: two after each change, the second for those who looked just before
        /// it came and waited just after the first.
        var news = 0
        var lastWaiter = 0
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
    }

    private let store: any ChangeStore
    private let limits: FeedBuffer.Limits
    private let whereabouts: @Sendable () async -> SwarmReply
    private let clock: any BrimClock
    private let logger: Logger
    private let state = Mutex(State())

    /// `swarm` tells where masters and servers are now.
    init(
        store: any ChangeStore, limits: FeedBuffer.Limits = FeedBuffer.Limits(), clock: any BrimClock = SystemClock(),
        logger: Logger, swarm: @escaping @Sendable () async -> SwarmReply
    ) {
        self.store = store
        self.limits = limits
        self.clock = clock
        self.logger = logger
        whereabouts = swarm
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.follow() }
                group.addTask { await self.wake() }
                group.addTask { await self.look() }
            }
        }
        wakeAll()
    }

    // MARK: Following

    private func follow() async {
        var isFailing = false
        while !Task.isCancelled {
            do {
                let start = try await start()
                worker.rests()
                if isFailing { logger.info("changes are followed again") }
                isFailing = false
                state.withLock { $0.asked = .now }
                try await store.follow(after: start, quiet: Self.pace) { self.take($0) }
            } catch is PositionLost {
                if Task.isCancelled { return }
                logger.warning("the database does not know the changes since the last one that was read")
                state.withLock { ($0.buffer, $0.current, $0.mark) = (nil, nil, nil) }
            } catch {
                if Task.isCancelled { return }
                worker.failed(error, again: Self.pace)
                if !isFailing { logger.warning("changes cannot be followed", metadata: ["error": "\(error)"]) }
                isFailing = true
            }
            await clock.pause(Self.pace)
        }
    }

    private func start() async throws -> ChangePosition {
        if let head = state.withLock({ $0.buffer?.head }) { return head }
        let position = try await store.changePosition()
        state.withLock { $0.buffer = FeedBuffer(at: position, limits: limits) }
        return position
    }

    private func take(_ step: ChangeStep) -> Bool {
        var json: String?
        if case .change(let change, _) = step {
            json = encoded(change)
            worker.did(1)
        }
        state.withLock { state in
            if let json {
                state.buffer?.append(FeedBuffer.Item(position: step.position, json: json))
                state.news = 2
            } else {
                state.buffer?.advance(to: step.position)
            }
            // Nothing had come when the database was asked, which was when the step before had been taken; this program
            // may have stood still since.
            if case .quiet = step {
                state.current = max(state.current ?? state.asked, state.asked)
            } else if let mark = state.mark, step.position >= mark.position {
                state.current = max(state.current ?? mark.at, mark.at)
                state.mark = nil
            }
            state.asked = .now
        }
        return true
    }

    /// nil for what no listener would understand.
    private func encoded(_ change: NamespaceChange) -> String? {
        do {
            return try Self.json(change)
        } catch {
            logger.error("a change cannot be encoded", metadata: ["file.id": "\(change.id)", "error": "\(error)"])
            return nil
        }
    }

    static func json(_ change: NamespaceChange) throws -> String {
        let told =
            switch change {
            case .present(let entry): FeedChange(entry: FeedEntry(entry))
            case .absent(let id, let rev): FeedChange(removed: id, rev: rev)
            }
        return String(decoding: try BrimJSON.encoder().encode(told), as: UTF8.self)
    }

    /// Wakes listeners: when something came, and now and then so that they tell theirs that there is nothing.
    private func wake() async {
        var woken = ContinuousClock.now
        while !Task.isCancelled {
            await clock.pause(Self.beat)
            let isDue = state.withLock { state in
                defer { state.news = max(0, state.news - 1) }
                return state.news > 0 || .now - woken >= Self.pace
            }
            guard isDue else { continue }
            woken = .now
            wakeAll()
        }
    }

    /// Looks where the swarm is, and while changes never pause, how far the database is: the feed is as recent as that once
    /// it has come there.
    private func look() async {
        while !Task.isCancelled {
            await notice(await whereabouts())
            await mark()
            await clock.pause(Self.pace)
        }
    }

    private func mark() async {
        let isDue = state.withLock { state in
            state.mark == nil && state.current.map { ContinuousClock.now - $0 > Self.pace * 2 } ?? true
        }
        guard isDue else { return }
        let asked = ContinuousClock.now
        // Why it fails, the follower says.
        guard let position = try? await store.changePosition() else { return }
        state.withLock { state in
            if let head = state.buffer?.head, head >= position {
                state.current = max(state.current ?? asked, asked)
            } else {
                state.mark = (position, asked)
            }
        }
    }

    // MARK: Listening

    /// Admits a listener, who says `leave` at the end. Throws `.unavailable` when there are too many.
    func enter() throws {
        let isAdmitted = state.withLock { state in
            guard state.listeners < Self.listeners else { return false }
            state.listeners += 1
            return true
        }
        guard isAdmitted else { throw Self.crowded("\(Self.listeners) listeners follow this master's changes") }
    }

    func leave() { state.withLock { $0.listeners -= 1 } }

    /// Runs what reads a page of a snapshot. Throws `.unavailable` when too many do.
    func page<Value: Sendable>(_ body: @Sendable () async throws -> Value) async throws -> Value {
        let isAdmitted = state.withLock { state in
            guard state.pages < Self.pages else { return false }
            state.pages += 1
            return true
        }
        guard isAdmitted else { throw Self.crowded("\(Self.pages) pages of the namespace are read from this master") }
        defer { state.withLock { $0.pages -= 1 } }
        return try await body()
    }

    private static func crowded(_ what: String) -> BrimError {
        BrimError(.unavailable, "\(what) already", advice: "Ask another master, or later")
    }

    /// Where the changes are now; nil before it is known.
    var head: ChangePosition? { state.withLock { $0.buffer?.head } }

    /// What follows a position, and for how long that has been all there was; nil before anything is known.
    func next(after position: ChangePosition) -> (next: FeedBuffer.Next, age: Duration?)? {
        state.withLock { state in
            guard let buffer = state.buffer else { return nil }
            return (
                buffer.next(after: position, limit: Self.batch, maxBytes: Self.batchBytes),
                state.current.map { ContinuousClock.now - $0 }
            )
        }
    }

    /// What follows a position that the buffer is beyond, from the database: one batch, and the position after it; nil while
    /// others are at it. Throws `PositionLost` and what the database does.
    func older(after position: ChangePosition) async throws -> (json: [String], position: ChangePosition)? {
        let isAdmitted = state.withLock { state in
            guard state.latecomers < Self.latecomers else { return false }
            state.latecomers += 1
            return true
        }
        guard isAdmitted else { return nil }
        defer { state.withLock { $0.latecomers -= 1 } }
        let batch = Batch(position)
        try await store.follow(after: position, quiet: .milliseconds(20)) { step in
            switch step {
            case .quiet(let position): return batch.end(at: position)
            case .change(let change, let position): return batch.take(self.encoded(change), position)
            }
        }
        return batch.told
    }

    /// Changes on their way from the database to one listener.
    private final class Batch: Sendable {
        private let state: Mutex<(json: [String], bytes: Int, position: ChangePosition)>

        init(_ position: ChangePosition) { state = Mutex(([], 0, position)) }

        var told: (json: [String], position: ChangePosition) { state.withLock { ($0.json, $0.position) } }

        func end(at position: ChangePosition) -> Bool {
            state.withLock { $0.position = position }
            return false
        }

        /// Whether there is room for more.
        func take(_ json: String?, _ position: ChangePosition) -> Bool {
            state.withLock { state in
                state.position = position
                guard let json else { return true }
                state.json.append(json)
                state.bytes += json.utf8.count
                return state.json.count < ChangeFeed.batch && state.bytes < ChangeFeed.batchBytes
            }
        }
    }

    /// Waits until there may be something new, for at most `pace` and a beat.
    func wait() async {
        let number = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled { return true }
                    state.waiters[number] = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
        }
    }

    private func wakeAll() {
        let waiters = state.withLock { state in
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
    }

    // MARK: The swarm

    private func notice(_ swarm: SwarmReply) async {
        state.withLock { state in
            guard swarm != state.swarm?.reply else { return }
            state.swarm = (swarm, (state.swarm?.number ?? 0) + 1)
        }
    }

    /// Where the swarm was when that was last looked at, when it has changed since the one of this number.
    func swarm(since number: Int) -> (reply: SwarmReply, number: Int)? {
        state.withLock { state in state.swarm.flatMap { $0.number > number ? $0 : nil } }
    }

    /// For tests: listeners, and changes and bytes in the buffer.
    var usage: (listeners: Int, changes: Int, bytes: Int) {
        state.withLock { ($0.listeners, $0.buffer?.count ?? 0, $0.buffer?.bytes ?? 0) }
    }
}
