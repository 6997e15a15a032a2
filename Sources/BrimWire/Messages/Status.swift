import BrimModel

/// `GET /v1/status` and `brim status --json`.
public struct StatusReply: Sendable, Codable {
    public struct Level: Sendable, Codable, Hashable {
        public var surplus: Int
        public var files: Int64
        public var bytes: Int64
        public init(surplus: Int, files: Int64, bytes: Int64) {
            self.surplus = surplus
            self.files = files
            self.bytes = bytes
        }
    }
    /// Live regular files, once each.
    public var files: Int64
    /// Their sizes.
    public var bytes: Int64
    /// Over readable files; null when there is none.
    @Nullable public var minSurplus: Int?
    @Nullable public var maxSurplus: Int?
    public var surplus: [Level]
    /// Files without a readable copy; outside of everything above but `files` and `bytes`.
    public var unreachable: Int64
    /// Removed files and old versions, which are in none of the numbers above, and the bytes of all their counted copies.
    /// Optional, as it joined later.
    public var trash: Trash?
    public struct Trash: Sendable, Codable, Hashable {
        public var files: Int64
        public var bytes: Int64
        public init(files: Int64, bytes: Int64) {
            self.files = files
            self.bytes = bytes
        }
    }
    /// The master that decides replication; null while there is none.
    @Nullable public var leader: String?
    /// All masters. Optional, as it joined later.
    public var masters: [MasterStatus]?
    /// Copies under way.
    public var copying: Int
    /// Whether no step that would improve anything is left.
    public var atRest: Bool
    /// Age of the numbers per surplus in seconds.
    public var ageSeconds: Double
    public var servers: [ServerStatus]
    /// What a person should look at, in words.
    public var warnings: [String]
    /// The last rebuild drill; left out before the first. Optional, as it joined later.
    public var drill: DrillReport?
    /// What losses would do. Optional, as it joined later, as is `growth`.
    public var failureBudget: FailureBudget?
    /// Left out while it was not observed for a day.
    public var growth: Growth?
    public init(
        files: Int64, bytes: Int64, minSurplus: Int?, maxSurplus: Int?, surplus: [Level], unreachable: Int64,
        trash: Trash? = nil, leader: String?, masters: [MasterStatus]? = nil, copying: Int, atRest: Bool,
        ageSeconds: Double, servers: [ServerStatus], warnings: [String] = [], drill: DrillReport? = nil,
        failureBudget: FailureBudget? = nil, growth: Growth? = nil
    ) {
        self.files = files
        self.bytes = bytes
        self._minSurplus = Nullable(wrappedValue: minSurplus)
        self._maxSurplus = Nullable(wrappedValue: maxSurplus)
        self.surplus = surplus
        self.unreachable = unreachable
        self.trash = trash
        self._leader = Nullable(wrappedValue: leader)
        self.masters = masters
        self.copying = copying
        self.atRest = atRest
        self.ageSeconds = ageSeconds
        self.servers = servers
        self.warnings = warnings
        self.drill = drill
        self.failureBudget = failureBudget
        self.growth = growth
    }
}

extension StatusReply {
    /// What the loss of one server, and of two, would do at once; of all that are as many the worst.
    public struct FailureBudget: Sendable, Codable, Hashable {
        public struct Loss: Sendable, Codable, Hashable {
            public var servers: [ServerName]
            /// min(k − n) of the files that could still be read; null when there would be none.
            @Nullable public var minSurplus: Int?
            /// Files of which no copy would be left that can be read, and their bytes.
            public var filesLost: Int64
            public var bytesLost: Int64
            public init(servers: [ServerName], minSurplus: Int?, filesLost: Int64, bytesLost: Int64) {
                self.servers = servers
                _minSurplus = Nullable(wrappedValue: minSurplus)
                self.filesLost = filesLost
                self.bytesLost = bytesLost
            }
        }
        /// Null where there are fewer servers.
        @Nullable public var one: Loss?
        @Nullable public var two: Loss?
        public init(one: Loss?, two: Loss?) {
            _one = Nullable(wrappedValue: one)
            _two = Nullable(wrappedValue: two)
        }
    }

    /// How what is stored has grown lately.
    public struct Growth: Sendable, Codable, Hashable {
        /// Of all files with one copy more than wanted; may be negative.
        public var bytesPerDay: Double
        public var since: Timestamp
        /// When there will be no room for that any more; null when there always will be at this rate.
        @Nullable public var exhausted: Timestamp?
        public init(bytesPerDay: Double, since: Timestamp, exhausted: Timestamp?) {
            self.bytesPerDay = bytesPerDay
            self.since = since
            _exhausted = Nullable(wrappedValue: exhausted)
        }
    }
}

/// One server: an element of `GET /v1/servers` and of the status.
public struct ServerStatus: Sendable, Codable {
    public var name: ServerName
    public var address: String
    public var state: ServerState
    public var zone: String
    /// Bytes.
    public var quota: Int64
    /// Bytes of blobs, reservations included.
    public var used: Int64
    /// Of `used`: bytes that are neither spare nor trash. Like the next two as old as the status's sums; optional, as they
    /// joined later.
    public var essential: Int64?
    /// Of `used`: bytes of copies beyond n; of a file with k copies each server's part is surplus / k.
    public var spare: Int64?
    /// Of `used`: bytes of copies of removed files and old versions.
    public var trash: Int64?
    /// Bytes: min(quota − used, free on disk − 1 %), at least 0.
    public var free: Int64
    /// Blobs.
    public var files: Int64
    /// The most surplus of a file it holds, trash left out; null when it holds none.
    @Nullable public var maxSurplus: Int?
    public var load: ServerLoad
    public var heartbeat: Timestamp
    public var version: String
    /// What is wrong with its disk, in words; null while it is well.
    @Nullable public var fault: String?
    /// How far it is emptied; null unless it is draining.
    @Nullable public var drain: DrainStatus?
    /// Silent for long enough to be called down, and not called so because too many fell silent together.
    public var heldBack: Bool
    public init(
        name: ServerName, address: String, state: ServerState, zone: String, quota: Int64, used: Int64,
        essential: Int64?, spare: Int64?, trash: Int64?, free: Int64, files: Int64, maxSurplus: Int?, load: ServerLoad,
        heartbeat: Timestamp, version: String, fault: String? = nil,
        drain: DrainStatus? = nil, heldBack: Bool = false
    ) {
        self.name = name
        self.address = address
        self.state = state
        self.zone = zone
        self.quota = quota
        self.used = used
        self.essential = essential
        self.spare = spare
        self.trash = trash
        self.free = free
        self.files = files
        self._maxSurplus = Nullable(wrappedValue: maxSurplus)
        self.load = load
        self.heartbeat = heartbeat
        self.version = version
        self._fault = Nullable(wrappedValue: fault)
        self._drain = Nullable(wrappedValue: drain)
        self.heldBack = heldBack
    }

    /// What a person should know of this server besides its numbers; nil when nothing.
    public var remark: String? {
        let remarks = [drain?.remark(name), silence, trouble].compactMap(\.self)
        return remarks.isEmpty ? nil : remarks.joined(separator: "; ")
    }

    private var silence: String? {
        guard heldBack else { return nil }
        return "silent, and not called down because others fell silent with it: if it is really gone, say "
            + "'brim server drain \(name)'"
    }

    private var trouble: String? {
        if let fault { return "its disk is failing: \(fault)" }
        if used > quota {
            return "uses \(ByteCount.format(used - quota)) more than its quota: takes nothing, and gives up what is "
                + "spare or can move to other servers"
        }
        if free < quota - used, free < quota / 100 {
            return "its disk is full, although its quota leaves \(ByteCount.format(quota - used))"
        }
        return nil
    }
}

/// `PUT /v1/servers/NAME/quota` on a master, `PUT /v1/quota` on a slave.
public struct QuotaRequest: Sendable, Codable {
    /// Bytes.
    public var quota: Int64
    public init(quota: Int64) { self.quota = quota }
}

/// An optional that is written as `null` instead of being left out.
@propertyWrapper
public struct Nullable<Value: Codable & Sendable>: Codable, Sendable {
    public var wrappedValue: Value?
    public init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue { try container.encode(wrappedValue) } else { try container.encodeNil() }
    }
}

extension Nullable: Equatable where Value: Equatable {}
extension Nullable: Hashable where Value: Hashable {}

extension KeyedDecodingContainer {
    /// A missing key reads as null.
    public func decode<Value>(_ type: Nullable<Value>.Type, forKey key: Key) throws -> Nullable<Value> {
        try decodeIfPresent(type, forKey: key) ?? Nullable(wrappedValue: nil)
    }
}
