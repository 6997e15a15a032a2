import BrimModel

/// `POST /v1/plan`: something that might happen; at least one of the three.
public struct PlanRequest: Sendable, Codable, Hashable {
    /// Another n for a file, or for all files below a directory.
    public struct Copies: Sendable, Codable, Hashable {
        public var path: BrimPath
        public var n: Int
        public init(path: BrimPath, n: Int) {
            self.path = path
            self.n = n
        }
    }

    /// Servers that would be gone.
    public var lose: [ServerName]?
    /// Servers that would join, by their quotas in bytes; each in a zone of its own.
    public var add: [Int64]?
    public var copies: Copies?
    public init(lose: [ServerName]? = nil, add: [Int64]? = nil, copies: Copies? = nil) {
        self.lose = lose
        self.add = add
        self.copies = copies
    }
}

/// What would come of it.
public struct PlanReply: Sendable, Codable, Hashable {
    /// min(k − n) as it is now; null while there is no file that can be read.
    @Nullable public var minSurplusNow: Int?
    /// The same right after the event.
    @Nullable public var minSurplus: Int?
    /// The same when the swarm has come to rest again.
    @Nullable public var minSurplusHealed: Int?
    /// Files that would have fewer copies than wanted right after the event, and could be read.
    public var filesAtRisk: Int64
    /// Files of which no copy would be left that can be read, and their bytes.
    public var filesLost: Int64
    public var bytesLost: Int64
    /// Bytes of the copies that would be made until the swarm is at rest.
    public var bytesToMove: Int64
    /// How long that would take at the rate at which copies were made lately; null while none was.
    @Nullable public var seconds: Double?
    /// Whether what comes after the event was reckoned from a sample of the files.
    public var estimated: Bool

    public init(
        minSurplusNow: Int?, minSurplus: Int?, minSurplusHealed: Int?, filesAtRisk: Int64, filesLost: Int64,
        bytesLost: Int64, bytesToMove: Int64, seconds: Double?, estimated: Bool
    ) {
        _minSurplusNow = Nullable(wrappedValue: minSurplusNow)
        _minSurplus = Nullable(wrappedValue: minSurplus)
        _minSurplusHealed = Nullable(wrappedValue: minSurplusHealed)
        self.filesAtRisk = filesAtRisk
        self.filesLost = filesLost
        self.bytesLost = bytesLost
        self.bytesToMove = bytesToMove
        _seconds = Nullable(wrappedValue: seconds)
        self.estimated = estimated
    }
}
