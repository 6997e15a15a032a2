import BrimModel

/// How much the planner lets happen at once.
public struct PlannerLimits: Sendable, Hashable {
    /// Copies under way to one server; three quarters of these for files that are not at risk.
    public var maxTransfersPerTarget = 256
    /// Copies under way from one server; three quarters of these for files that are not at risk.
    public var maxTransfersPerSource = 64
    /// Small files, of at most `Limits.smallBlobBytes`, travel many at once: so many copies of them count as one.
    public var smallPerTransfer = 16
    /// Bytes under way to one server; one copy of any size is always allowed.
    public var maxBytesInFlightPerTarget: Int64 = 256 << 20
    /// A server with a busier peak (0–1) is taken last, and gets copies of files that are not at risk one at a time.
    public var peakLoadLimit = 0.95
    /// The most counted copies a file is given.
    public var maxCopies = 16
    /// Evictions that one copy or write may cost on one server.
    public var maxVictims = Limits.victims

    public init() {}
}

/// One more copy of a file: what is given up on the target first, then where the bytes come from.
public struct CopyPlan: Sendable, Hashable {
    public var file: NeedyFile
    public var target: ServerName
    /// Holders that can be read, best first; never empty.
    public var sources: [ServerName]
    /// Copies on the target to be given up first.
    public var victims: [Victim]
    /// Tells this plan from an earlier one of the same words, whose late answer must not be taken for this one's.
    public var attempt: Int

    public init(
        file: NeedyFile, target: ServerName, sources: [ServerName], victims: [Victim] = [], attempt: Int = 0
    ) {
        self.file = file
        self.target = target
        self.sources = sources
        self.victims = victims
        self.attempt = attempt
    }
}

/// Copies to be given up on one server, with nothing to follow.
public struct EvictionPlan: Sendable, Hashable {
    public var server: ServerName
    public var victims: [Victim]

    public init(server: ServerName, victims: [Victim]) {
        self.server = server
        self.victims = victims
    }
}

/// What can be done for a needy file.
public enum Placement: Sendable, Hashable {
    /// There is room: a plan without victims.
    case copy(CopyPlan)
    /// No server has room; giving up copies on one of these, most promising first, might make it.
    case makeRoom([ServerName])
    /// Nothing now: it is being copied, was just decided about, or all who could help are busy.
    case wait
    /// No server that takes copies could ever hold one more.
    case capped
}

/// Where a new write goes.
public enum WritePlacement: Sendable, Hashable {
    /// The chain of targets, first the one that the client sends to.
    case targets([WriteTarget])
    /// Fewer servers take copies than the write needs.
    case tooFewServers(available: Int)
    /// Not enough room, even after giving up all that may be given up of the copies shown to the planner.
    case full(Shortage)
}

/// One target of a write.
public struct WriteTarget: Sendable, Hashable {
    public var server: ServerName
    /// Copies to be given up there before the write is granted.
    public var victims: [Victim]
    /// The least surplus that a victim may have when it is given up.
    public var leastVictimSurplus: Int

    public init(server: ServerName, victims: [Victim] = [], leastVictimSurplus: Int) {
        self.server = server
        self.victims = victims
        self.leastVictimSurplus = leastVictimSurplus
    }
}

/// Why a write does not fit, in numbers for the message.
public struct Shortage: Sendable, Hashable {
    /// Copies that the write needs at once.
    public var copies: Int
    /// Of these, how many could be placed.
    public var placeable: Int
    /// Bytes that lack for the others, on the servers that lack least.
    public var missing: Int64
    /// Servers whose quota is large enough but which have no room now, least lacking first.
    public var candidates: [ServerName]

    public init(copies: Int, placeable: Int, missing: Int64, candidates: [ServerName]) {
        self.copies = copies
        self.placeable = placeable
        self.missing = missing
        self.candidates = candidates
    }
}
