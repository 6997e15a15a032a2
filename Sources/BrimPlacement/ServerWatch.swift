import BrimModel

/// Judges the silence of servers: slowly, and only while the leader could hear.
///
/// `up` → `suspect` after `suspectAfter` of silence → `down` after `downAfter`. A heartbeat brings `suspect` back to `up`;
/// `down` becomes `up` when the server's complete report is reconciled. Time is a parameter everywhere.
public struct ServerWatch: Sendable {
    public typealias Instant = ContinuousClock.Instant

    /// A change of state to be carried out.
    public struct Transition: Sendable, Hashable {
        public var server: ServerName
        public var from: ServerState
        public var to: ServerState
        /// A few words with numbers, for the log.
        public var why: String
    }

    private struct Watched: Sendable {
        var state: ServerState
        /// When it was last heard, or since when silence counts.
        var since: Instant
        /// It said goodbye: silent by intent, whatever others do.
        var leftByIntent = false
        /// A person said that it is gone.
        var isConfirmed = false
        /// Its complete report is reconciled, it waits until it has been steady for long enough.
        var isReconciled = false
        /// Since when it answers without going silent; nil while silent.
        var steadySince: Instant?
        /// When it went down, most recent last, within `flapMemory`.
        var falls: [Instant] = []
    }

    /// Falls longer ago than this are forgotten.
    static let flapMemory = Duration.seconds(3600)
    /// How many times longer a silence is tolerated that many servers share.
    public static let massPatience = 10

    private var suspectAfter: Duration
    private var downAfter: Duration
    private var watched: [ServerName: Watched] = [:]
    private var isHearing = true
    private var lastTick: Instant?

    public init(suspectAfter: Duration, downAfter: Duration) {
        self.suspectAfter = suspectAfter
        self.downAfter = max(downAfter, suspectAfter)
    }

    /// Judges by other times from now on.
    public mutating func setTimes(suspectAfter: Duration, downAfter: Duration) {
        self.suspectAfter = suspectAfter
        self.downAfter = max(downAfter, suspectAfter)
    }

    public var servers: [ServerName: ServerState] { watched.mapValues(\.state) }

    public func state(_ server: ServerName) -> ServerState? { watched[server]?.state }

    /// Whether its complete report is taken in and it only has to answer steadily for some more time.
    public func waitsToBeSteady(_ server: ServerName) -> Bool { watched[server]?.isReconciled == true }

    /// Silent for longer than `downAfter`, kept from `down` because too many fell silent together; by name.
    public private(set) var heldBack: [ServerName] = []

    // MARK: - Events

    /// Watches a server known from the store; its grace begins at `now`. No effect on one already watched.
    public mutating func add(_ server: ServerName, state: ServerState, at now: Instant) {
        guard watched[server] == nil else { return }
        watched[server] = Watched(state: state, since: now)
    }

    /// A server spoke. One not known yet is watched as `down`. What it said before its goodbye is no news.
    public mutating func heard(_ server: ServerName, at now: Instant) -> Transition? {
        var entry = watched[server] ?? Watched(state: .down, since: now)
        if entry.leftByIntent, now < entry.since { return nil }
        entry.since = max(entry.since, now)
        entry.leftByIntent = false
        entry.isConfirmed = false
        entry.steadySince = entry.steadySince ?? now
        watched[server] = entry
        return entry.state == .suspect ? move(server, to: .up, "it answers again") : nil
    }

    /// A server stops by intent: suspect at once, down after the usual time however many others are silent.
    public mutating func goodbye(_ server: ServerName, at now: Instant) -> Transition? {
        guard var entry = watched[server] else { return nil }
        entry.since = max(entry.since, now)
        entry.leftByIntent = true
        entry.isReconciled = false
        entry.steadySince = nil
        watched[server] = entry
        return entry.state == .up ? move(server, to: .suspect, "it said goodbye") : nil
    }

    /// Whether the leader can hear at all: it holds its lease and MongoDB answers. After a gap every grace begins anew.
    public mutating func hearing(_ able: Bool, at now: Instant) {
        if able && !isHearing { beginAnew(at: now) }
        isHearing = able
    }

    /// A person says that a silent server is really gone.
    public mutating func confirmed(_ server: ServerName) { watched[server]?.isConfirmed = true }

    /// A server's complete report has been taken in, so its copies count: `down` → `up`. One that fell several times
    /// within an hour must first answer steadily, each time twice as long; then a later `tick` says so.
    public mutating func reconciled(_ server: ServerName, at now: Instant) -> Transition? {
        guard var entry = watched[server], entry.state == .down else { return nil }
        entry.since = max(entry.since, now)
        entry.steadySince = entry.steadySince ?? now
        entry.isReconciled = true
        watched[server] = entry
        return riseIfSteady(server, at: now)
    }

    public mutating func forget(_ server: ServerName) { watched[server] = nil }

    /// The store has another state than was thought: it is watched from that, its grace begins at `now`. That it fell
    /// before is not forgotten.
    public mutating func restate(_ server: ServerName, _ state: ServerState, at now: Instant) {
        let falls = watched[server]?.falls ?? []
        watched[server] = Watched(state: state, since: now, falls: falls)
    }

    /// Judges all silences. To be called often, at least every `suspectAfter`: a longer pause (at least 5 s) means that
    /// this process stood still and could not hear.
    public mutating func tick(at now: Instant) -> [Transition] {
        defer { lastTick = now }
        if let lastTick, lastTick.duration(to: now) >= max(suspectAfter, .seconds(5)) { beginAnew(at: now) }
        heldBack = []
        guard isHearing else { return [] }
        let together = silentTogether(at: now)
        return watched.keys.sorted().compactMap { judge($0, together: together, at: now) }
    }

    // MARK: - Judgement

    private mutating func judge(_ server: ServerName, together: Set<ServerName>, at now: Instant) -> Transition? {
        guard let entry = watched[server] else { return nil }
        let silence = entry.since.duration(to: now)
        if silence >= suspectAfter {
            watched[server]?.steadySince = nil
            watched[server]?.isReconciled = false
        }
        if entry.state == .down { return riseIfSteady(server, at: now) }
        let seconds = "silent for \(Int(silence.inSeconds)) s"
        if silence >= downAfter {
            if together.contains(server), silence < downAfter * Self.massPatience {
                heldBack.append(server)
            } else {
                watched[server]?.falls.append(now)
                return move(server, to: .down, seconds)
            }
        }
        return silence >= suspectAfter && entry.state == .up ? move(server, to: .suspect, seconds) : nil
    }

    /// Servers that fell silent with so many others that the fault is more likely between them and us.
    private func silentTogether(at now: Instant) -> Set<ServerName> {
        let counted = watched.filter { $0.value.state != .down }
        let silent = counted.filter { !$0.value.leftByIntent && $0.value.since.duration(to: now) >= suspectAfter }
        guard silent.count >= 2, silent.count * 3 > counted.count else { return [] }
        return Set(silent.filter { !$0.value.isConfirmed }.keys)
    }

    private mutating func riseIfSteady(_ server: ServerName, at now: Instant) -> Transition? {
        guard let entry = watched[server], entry.state == .down, entry.isReconciled, let steady = entry.steadySince
        else { return nil }
        let falls = entry.falls.filter { $0.duration(to: now) < Self.flapMemory }
        watched[server]?.falls = falls
        let repeats = max(0, falls.count - 1)
        let wait = repeats == 0 ? .zero : min(downAfter, suspectAfter * (1 << min(repeats - 1, 20)))
        guard steady.duration(to: now) >= wait else { return nil }
        watched[server]?.isReconciled = false
        return move(server, to: .up, "its report is reconciled")
    }

    private mutating func move(_ server: ServerName, to state: ServerState, _ why: String) -> Transition? {
        guard let from = watched[server]?.state, from != state else { return nil }
        watched[server]?.state = state
        return Transition(server: server, from: from, to: state, why: why)
    }

    private mutating func beginAnew(at now: Instant) {
        for server in watched.keys { watched[server]?.since = now }
    }
}
