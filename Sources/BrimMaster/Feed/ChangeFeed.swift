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
    static let listeners = 1024
    /// Of these, such as read what is older than the buffer.
    static let latecomers = 2
    /// How often listeners hear that there is nothing.
    static let pace = Duration.seconds(1)
    /// Changes, and bytes, that are told at once.
    static let batch = 500
    static let batchBytes = 256 * 1024

    private struct State {
        /// nil before the first position is known.
        var buffer: FeedBuffer?
        /// When `buffer.head` was known to be all there is.
        var current: ContinuousClock.Instant?
        /// Everything up to the position was there at that time: once the buffer has it, it is that recent.
        var mark: (position: ChangePosition, at: ContinuousClock.Instant)?
        var listeners = 0
        var latecomers = 0
        var lastWaiter = 0
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
    }

    private let store: any ChangeStore
    private let limits: FeedBuffer.Limits
    private let logger: Logger
    private let state = Mutex(State())

    init(store: any ChangeStore, limits: FeedBuffer.Limits = FeedBuffer.Limits(), logger: Logger) {
        self.store = store
        self.limits = limits
        self.logger = logger
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.follow() }
                group.addTask { await self.tick() }
                group.addTask { await self.mark() }
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
                try await store.follow(after: start, quiet: Self.pace) { self.take($0) }
            } catch is PositionLost {
                logger.warning("the database has forgotten the changes since the last one that was read")
                state.withLock { ($0.buffer, $0.current, $0.mark) = (nil, nil, nil) }
            } catch {
                if Task.isCancelled { return }
                worker.failed(error, again: Self.pace)
                if !isFailing { logger.warning("changes cannot be followed", metadata: ["error": "\(error)"]) }
                isFailing = true
            }
            try? await Task.sleep(for: Self.pace)
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
            do {
                json = try Self.json(change)
            } catch {
                logger.error("a change cannot be encoded", metadata: ["file.id": "\(change.id)", "error": "\(error)"])
            }
            worker.did(1)
        }
        let now = ContinuousClock.now
        let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            if let json {
                state.buffer?.append(FeedBuffer.Item(position: step.position, json: json))
            } else {
                state.buffer?.advance(to: step.position)
            }
            if case .quiet = step {
                state.current = now
            } else if let mark = state.mark, step.position >= mark.position {
                state.current = max(state.current ?? mark.at, mark.at)
                state.mark = nil
            }
            guard json != nil else { return [] }
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume() }
        return true
    }

    static func json(_ change: NamespaceChange) throws -> String {
        let told =
            switch change {
            case .present(let entry): FeedChange(entry: FeedEntry(entry))
            case .absent(let id, let rev): FeedChange(removed: id, rev: rev)
            }
        return String(decoding: try BrimJSON.encoder().encode(told), as: UTF8.self)
    }

    /// Wakes listeners, who tell theirs that there is nothing.
    private func tick() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.pace)
            wakeAll()
        }
    }

    /// While changes never pause, asks the database now and then how far it is: the feed is as recent as that once it has
    /// come there.
    private func mark() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.pace)
            let isDue = state.withLock { state in
                state.mark == nil && state.current.map { ContinuousClock.now - $0 > Self.pace * 2 } ?? true
            }
            guard isDue else { continue }
            let asked = ContinuousClock.now
            // Why it fails, the follower says.
            guard let position = try? await store.changePosition() else { continue }
            state.withLock { state in
                if let head = state.buffer?.head, head >= position {
                    state.current = max(state.current ?? asked, asked)
                } else {
                    state.mark = (position, asked)
                }
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
        guard isAdmitted else {
            throw BrimError(
                .unavailable, "\(Self.listeners) listeners follow this master's changes already",
                advice: "Ask another master")
        }
    }

    func leave() { state.withLock { $0.listeners -= 1 } }

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

    /// What follows a position that the buffer is beyond, from the database; nil while others are at it. Throws
    /// `PositionLost` and what the database does.
    func older(after position: ChangePosition) async throws -> ChangePage? {
        let isAdmitted = state.withLock { state in
            guard state.latecomers < Self.latecomers else { return false }
            state.latecomers += 1
            return true
        }
        guard isAdmitted else { return nil }
        defer { state.withLock { $0.latecomers -= 1 } }
        return try await store.changes(after: position, limit: Self.batch)
    }

    /// Waits for a change after a position, for at most `pace`.
    func wait(after position: ChangePosition?) async {
        let number = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || position.map({ state.buffer?.hasChanges(after: $0) == true }) == true {
                        return true
                    }
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

    /// For tests: listeners, and changes and bytes in the buffer.
    var usage: (listeners: Int, changes: Int, bytes: Int) {
        state.withLock { ($0.listeners, $0.buffer?.count ?? 0, $0.buffer?.bytes ?? 0) }
    }
}
