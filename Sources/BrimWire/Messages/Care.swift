import BrimModel

/// What a check of one copy found.
public enum CopyCondition: String, Sendable, Codable, CaseIterable {
    case ok
    /// Its bytes did not match their checksums, or it was too short or too long: set aside and replaced.
    case corrupt
    /// It was not there.
    case missing
    /// Its server did not answer, so that nothing is known.
    case unreachable
}

/// `POST /v1/blobs/ID/verify` on a slave: one copy was read whole and compared with its checksums.
public struct BlobVerification: Sendable, Codable, Hashable {
    public var condition: CopyCondition
    /// What was found, in words; null when all is well.
    @Nullable public var reason: String?
    public init(condition: CopyCondition, reason: String? = nil) {
        self.condition = condition
        self._reason = Nullable(wrappedValue: reason)
    }
}

/// `POST /v1/verify/PATH` on a master: every copy of a file.
public struct VerifyReply: Sendable, Codable, Hashable {
    public struct Copy: Sendable, Codable, Hashable {
        public var server: ServerName
        public var condition: CopyCondition
        @Nullable public var reason: String?
        public init(server: ServerName, _ found: BlobVerification) {
            self.server = server
            condition = found.condition
            self._reason = Nullable(wrappedValue: found.reason)
        }
    }
    public var path: String
    /// Bytes of the file.
    public var size: Int64
    public var copies: [Copy]
    public init(path: String, size: Int64, copies: [Copy]) {
        self.path = path
        self.size = size
        self.copies = copies
    }
}

/// `POST /v1/node/lost` on a master: blobs that a slave does not have, or does not have whole any more.
public struct LostRequest: Sendable, Codable {
    public var name: ServerName
    public var id: String
    public var blobs: [BlobID]
    /// For those of them that were found damaged and set aside: what was found, by the id.
    public var damage: [String: String]?
    public init(name: ServerName, id: String, blobs: [BlobID], damage: [String: String]? = nil) {
        self.name = name
        self.id = id
        self.blobs = blobs
        self.damage = damage
    }
}

/// Answer to `POST /v1/node/surplus`: the surplus of the files that have these blobs, by the blob's id; those that no live
/// file has are left out.
public struct SurplusReply: Sendable, Codable {
    public var surplus: [String: Int]
    public init(surplus: [String: Int]) { self.surplus = surplus }
}

/// How a slave verifies what it holds; told with each heartbeat.
public struct ScrubPolicy: Sendable, Codable, Hashable {
    public var intervalMilliseconds: Int64
    public var bytesPerSecond: Int64
    /// 0–1.
    public var load: Double
    public init(_ settings: SwarmSettings = SwarmSettings()) {
        intervalMilliseconds = settings.scrubInterval.wholeMilliseconds
        bytesPerSecond = settings.scrubRate
        load = settings.scrubLoad
    }
}

/// `GET /v1/settings`, and the answer to a change.
public struct SettingsReply: Sendable, Codable, Hashable {
    public struct Item: Sendable, Codable, Hashable {
        public var name: String
        public var value: String
        /// What it is when nobody sets it.
        public var usual: String
        public var range: String
        public var meaning: String
        public init(name: String, value: String, usual: String, range: String, meaning: String) {
            self.name = name
            self.value = value
            self.usual = usual
            self.range = range
            self.meaning = meaning
        }
    }
    public var settings: [Item]
    public init(settings: [Item]) { self.settings = settings }
}

/// `PATCH /v1/settings`: new values by name, as text; null for the usual one.
public struct SettingsRequest: Sendable, Codable {
    public var values: [String: String?]
    public init(values: [String: String?]) { self.values = values }
}

/// `GET /v1/why/PATH`: how a file came to the copies it has.
public struct WhyReply: Sendable, Codable {
    public struct Holder: Sendable, Codable, Hashable {
        public var server: ServerName
        /// null: no server of this name is known any more.
        @Nullable public var state: ServerState?
        /// Whether this copy counts in k.
        public var counted: Bool
        public init(server: ServerName, state: ServerState?, counted: Bool) {
            self.server = server
            self._state = Nullable(wrappedValue: state)
            self.counted = counted
        }
    }
    public struct Event: Sendable, Codable, Hashable {
        public var at: Timestamp
        public var server: ServerName
        /// `written`, `copied`, `adopted`, `givenUp`, `lost`, `quarantined` or `removed`.
        public var kind: String
        public var reason: String
        public var blob: BlobID
        public init(at: Timestamp, server: ServerName, kind: String, reason: String, blob: BlobID) {
            self.at = at
            self.server = server
            self.kind = kind
            self.reason = reason
            self.blob = blob
        }
    }
    public var path: String
    public var size: Int64
    public var version: Int64
    public var n: Int
    public var k: Int
    public var surplus: Int
    public var replicas: [Holder]
    /// Oldest first.
    public var events: [Event]
    /// Why no further copy is made now, in words.
    public var next: String
    public init(
        path: String, size: Int64, version: Int64, n: Int, k: Int, surplus: Int, replicas: [Holder], events: [Event],
        next: String
    ) {
        self.path = path
        self.size = size
        self.version = version
        self.n = n
        self.k = k
        self.surplus = surplus
        self.replicas = replicas
        self.events = events
        self.next = next
    }
}
