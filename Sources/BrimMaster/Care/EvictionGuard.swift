import BrimMetadata
import BrimModel
import BrimPlacement
import Logging
import Synchronization

/// The breaker of this master: tells it what happens, asks it before copies are given up, and keeps its state in the
/// settings, where other masters and the next one find it.
final class EvictionGuard: Sendable {
    private struct State {
        var breaker: EvictionBreaker
        /// Bytes and copies on all servers, as last heard.
        var stored: Int64 = 0
        var copies: Int64 = 0
        var servers = 0
        /// What the settings say of it.
        var words: String?
        /// It opened and the settings do not say so yet.
        var isUntold = false
    }
    private let state: Mutex<State>
    private let store: any MetadataStore
    private let clock: any BrimClock
    private let logger: Logger

    init(
        store: any MetadataStore, settings: SwarmSettings, clock: any BrimClock = SystemClock(), logger: Logger
    ) {
        self.store = store
        self.clock = clock
        self.logger = logger
        state = Mutex(
            State(
                breaker: EvictionBreaker(
                    copies: settings.breakerCopies, share: settings.breakerShare, window: settings.breakerWindow)))
    }

    var isOpen: Bool { state.withLock { $0.breaker.isOpen } }
    /// Whether it is of any use to ask.
    var mayAdmit: Bool { state.withLock { $0.breaker.mayAdmit } }

    /// What to tell people; nil while all is well.
    var warning: String? {
        state.withLock { state in
            guard state.breaker.isOpen else { return nil }
            return (state.words ?? "the breaker is open")
                + ". Copies are made into free room only. See the master's log; 'brim settings breaker=reset' goes on"
        }
    }

    func setLimits(_ settings: SwarmSettings) {
        state.withLock { state in
            state.breaker.copies = settings.breakerCopies
            state.breaker.share = settings.breakerShare
            state.breaker.window = settings.breakerWindow
        }
    }

    /// What is on all servers now.
    func count(_ servers: [ServerRecord]) {
        let (stored, copies) = (
            servers.reduce(0) { $0 + $1.usage.used }, servers.reduce(0) { $0 + $1.usage.files }
        )
        state.withLock { ($0.stored, $0.copies, $0.servers) = (stored, copies, servers.count) }
    }

    // MARK: - What explains that copies are given up

    /// A file of so many bytes was written, or shall have another number of copies: it may displace that much on each
    /// server.
    func explain(bytes: Int64) {
        let now = clock.now
        state.withLock { state in
            let (product, overflow) = bytes.multipliedReportingOverflow(by: Int64(max(1, state.servers)))
            state.breaker.explain(overflow ? .max : product, at: now)
        }
    }

    /// A server came or went, or a person changed or removed something: everything may move once.
    func explainAll() {
        let now = clock.now
        state.withLock { state in
            let stored = state.stored
            state.breaker.explainAll(stored: stored, at: now)
        }
    }

    /// The replicator found nothing left to do.
    func rested() {
        let now = clock.now
        state.withLock { $0.breaker.rested(at: now) }
    }

    // MARK: - Asking

    /// Whether so many copies may go; false from the moment that there were too many.
    func admits(copies: Int, bytes: Int64) async -> Bool {
        let (now, time) = (clock.now, clock.timestamp)
        let (isAdmitted, opened) = state.withLock { state in
            let before = state.breaker.isOpen
            let all = state.copies
            let isAdmitted = state.breaker.admits(copies: copies, bytes: bytes, of: all, at: now)
            guard !before, state.breaker.isOpen else { return (isAdmitted, nil as Int?) }
            state.words = Self.words(state.breaker, time)
            state.isUntold = true
            return (isAdmitted, state.breaker.excess)
        }
        if let opened {
            logger.critical(
                "too many copies would be given up without a known cause; no more are",
                metadata: ["copies": "\(opened)"])
            await tell()
        }
        return isAdmitted
    }

    /// Copies would be given up if it were not open.
    func wanted() {
        let now = clock.now
        state.withLock { $0.breaker.wanted(at: now) }
    }

    // MARK: - Settings

    /// Takes over what the settings say of it, and closes when nobody has strained it for long.
    func follow(_ stored: String?) async throws {
        if state.withLock({ $0.isUntold }) { await tell() }
        enum Change { case none, opened, reset, quiet }
        let now = clock.now
        let change = state.withLock { state -> Change in
            guard !state.isUntold else { return .none }
            if let stored, !state.breaker.isOpen {
                state.words = stored
                state.breaker.reopen(excess: 0, at: now)
                return .opened
            }
            if stored == nil, state.breaker.isOpen {
                state.breaker.reset()
                state.words = nil
                return .reset
            }
            if state.breaker.closesQuietly(at: now) {
                state.words = nil
                return .quiet
            }
            return .none
        }
        switch change {
        case .none: break
        case .opened: logger.warning("the breaker is open", metadata: ["since": "\(stored ?? "")"])
        case .reset: logger.notice("the breaker was reset: copies are given up again")
        case .quiet:
            logger.notice("the breaker closes: nothing more would be given up without a cause")
            _ = try await store.changeSettings(SettingsChange(values: [SettingsKeeper.breaker: nil]))
        }
    }

    /// Has the settings say that it is open; if that fails it is done with the next look at them.
    private func tell() async {
        guard let words = state.withLock({ $0.words }) else { return }
        do {
            _ = try await store.changeSettings(SettingsChange(values: [SettingsKeeper.breaker: words]))
            state.withLock { $0.isUntold = false }
        } catch {
            logger.warning("the open breaker cannot be noted", metadata: ["error": "\(error)"])
        }
    }

    private static func words(_ breaker: EvictionBreaker, _ time: Timestamp) -> String {
        "the breaker is open since \(time.description.prefix(19))Z: \(breaker.excess) copies would have been given "
            + "up within \(DurationText.format(breaker.window)) without a known cause"
    }
}
