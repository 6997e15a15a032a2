import BrimModel

// Between masters and slaves. All need a node token.

/// `POST /v1/node/join` on a master: a slave says hello, at its start and whenever a master does not know it.
public struct JoinRequest: Sendable, Codable {
    public var name: ServerName
    public var id: String
    /// The swarm the slave's data belongs to; nil for a new data directory.
    public var swarm: String?
    public var address: String
    public var zone: String
    public var version: String
    /// The `--quota` it was started with, in bytes.
    public var quota: Int64
    public var usage: ServerUsage
    public init(
        name: ServerName, id: String, swarm: String?, address: String, zone: String, version: String, quota: Int64,
        usage: ServerUsage
    ) {
        self.name = name
        self.id = id
        self.swarm = swarm
        self.address = address
        self.zone = zone
        self.version = version
        self.quota = quota
        self.usage = usage
    }
}

public struct JoinReply: Sendable, Codable {
    public var swarm: String
    /// The quota in force, in bytes.
    public var quota: Int64
    public var heartbeatMilliseconds: Int64
    /// The latest term of leadership; orders of lower terms are to be refused.
    public var term: Int64
    /// URLs of the masters that live, the leader's first; nil: nothing is known of others.
    public var masters: [String]?
    public init(swarm: String, quota: Int64, heartbeatMilliseconds: Int64, term: Int64) {
        self.swarm = swarm
        self.quota = quota
        self.heartbeatMilliseconds = heartbeatMilliseconds
        self.term = term
    }
}

/// `POST /v1/node/heartbeat` on a master. 404 means: join again.
public struct HeartbeatRequest: Sendable, Codable {
    public var name: ServerName
    public var id: String
    public var usage: ServerUsage
    public var load: ServerLoad
    /// What is wrong with its disk; nil while it is well.
    public var fault: ServerFault?
    /// What its clock says. Optional, as it joined later.
    public var time: Timestamp?
    public init(
        name: ServerName, id: String, usage: ServerUsage, load: ServerLoad, fault: ServerFault? = nil,
        time: Timestamp? = nil
    ) {
        self.name = name
        self.id = id
        self.usage = usage
        self.load = load
        self.fault = fault
        self.time = time
    }
}

public struct HeartbeatReply: Sendable, Codable {
    public var state: ServerState
    /// The quota in force, in bytes.
    public var quota: Int64
    /// The slave is asked for a complete report.
    public var report: Bool
    public var heartbeatMilliseconds: Int64
    /// nil: as it was told before.
    public var scrub: ScrubPolicy?
    /// As in `JoinReply`; nil: as it was told before.
    public var term: Int64?
    public var masters: [String]?
    public init(
        state: ServerState, quota: Int64, report: Bool, heartbeatMilliseconds: Int64, scrub: ScrubPolicy? = nil
    ) {
        self.state = state
        self.quota = quota
        self.report = report
        self.heartbeatMilliseconds = heartbeatMilliseconds
        self.scrub = scrub
    }
}

/// A blob as a slave's catalog has it.
public struct BlobReport: Sendable, Codable, Hashable {
    public var blob: BlobID
    public var file: FileID
    public var size: Int64
    public var checksum: Checksum
    /// Whether a master has confirmed it to this slave.
    public var confirmed: Bool
    public init(blob: BlobID, file: FileID, size: Int64, checksum: Checksum, confirmed: Bool) {
        self.blob = blob
        self.file = file
        self.size = size
        self.checksum = checksum
        self.confirmed = confirmed
    }
}

/// Which orders a slave has carried out: all of lower terms that it ever will, and of this one those up to a sequence.
public struct OrderPosition: Sendable, Codable, Hashable {
    /// The highest term the slave has heard of; 0 before the first.
    public var term: Int64
    /// The highest sequence of that term carried out, from 1; 0: none. Those that come late, below it, are refused.
    public var sequence: Int64
    public init(term: Int64, sequence: Int64) {
        self.term = term
        self.sequence = sequence
    }
}

/// `POST /v1/node/report` on a master: one page of the complete report that a slave makes after each join and when
/// asked. Pages are sent in order of blob ids, one after the other, without gaps.
public struct ReportPage: Sendable, Codable {
    public var name: ServerName
    public var id: String
    /// When this report was begun.
    public var begun: Timestamp
    /// The page covers ids in `after < id ≤ through`; nil: from the first, to the last.
    public var after: BlobID?
    public var through: BlobID?
    public var blobs: [BlobReport]
    /// Of the moment at which the page was read.
    public var position: OrderPosition
    public init(
        name: ServerName, id: String, begun: Timestamp, after: BlobID?, through: BlobID?, blobs: [BlobReport],
        position: OrderPosition
    ) {
        self.name = name
        self.id = id
        self.begun = begun
        self.after = after
        self.through = through
        self.blobs = blobs
        self.position = position
    }
}

public struct ReportReply: Sendable, Codable {
    /// To be marked as confirmed. A slave that has given one up meanwhile answers with `POST /v1/node/lost`.
    public var confirm: [BlobID]
    /// To be deleted: tombstoned, or never to be committed.
    public var delete: [BlobID]
    /// Metadata places these on the slave and the page did not name them: the slave looks once more and names those
    /// that it really lacks with `POST /v1/node/lost`.
    public var check: [BlobID]
    public init(confirm: [BlobID], delete: [BlobID], check: [BlobID]) {
        self.confirm = confirm
        self.delete = delete
        self.check = check
    }
}

/// `POST /v1/node/deleted` on a master: tombstoned blobs that are gone now. `POST /v1/node/surplus`: how safe these are.
public struct BlobList: Sendable, Codable {
    public var name: ServerName
    public var id: String
    public var blobs: [BlobID]
    public init(name: ServerName, id: String, blobs: [BlobID]) {
        self.name = name
        self.id = id
        self.blobs = blobs
    }
}

/// `POST /v1/node/pending` on a master: blobs received but not confirmed within their time; answered by a `ReportReply`
/// whose `check` is empty.
public struct PendingRequest: Sendable, Codable {
    public var name: ServerName
    public var id: String
    public var blobs: [BlobReport]
    /// Of the moment at which these were read.
    public var position: OrderPosition
    public init(name: ServerName, id: String, blobs: [BlobReport], position: OrderPosition) {
        self.name = name
        self.id = id
        self.blobs = blobs
        self.position = position
    }
}

/// An empty reply or body.
public struct Empty: Sendable, Codable {
    public init() {}
}

/// What a slave writes into its catalog beside a blob, so that metadata could be rebuilt.
public struct BlobLabel: Sendable, Codable, Hashable {
    public var file: FileID
    public var parent: FileID
    public var name: EntryName
    public var rev: Int64
    public var n: Int
    public var attributes: [String: AttributeValue]
    public init(
        file: FileID, parent: FileID, name: EntryName, rev: Int64, n: Int, attributes: [String: AttributeValue]
    ) {
        self.file = file
        self.parent = parent
        self.name = name
        self.rev = rev
        self.n = n
        self.attributes = attributes
    }
}

/// `POST /v1/orders` on a slave, from the leader. A batch's orders are carried out in order of their sequence: the
/// evictions and the reservation of an order at once, before the reply; its pull afterwards.
public struct OrderBatch: Sendable, Codable {
    public var term: Int64
    public var orders: [Order]
    /// The leader's URL: completions go there.
    public var leader: String
    public init(term: Int64, orders: [Order], leader: String) {
        self.term = term
        self.orders = orders
        self.leader = leader
    }
}

public struct Order: Sendable, Codable {
    /// Rises within a term; an order seen before is answered again, not carried out again.
    public var sequence: Int64
    /// Blobs to delete first (those that are not there are no error).
    public var evict: [BlobID]
    /// A blob to fetch then.
    public var pull: Pull?
    public struct Pull: Sendable, Codable {
        public var blob: BlobID
        public var size: Int64
        public var checksum: Checksum
        public var label: BlobLabel
        /// Holders, best first.
        public var sources: [Peer]
        public init(blob: BlobID, size: Int64, checksum: Checksum, label: BlobLabel, sources: [Peer]) {
            self.blob = blob
            self.size = size
            self.checksum = checksum
            self.label = label
            self.sources = sources
        }
    }
    public init(sequence: Int64, evict: [BlobID], pull: Pull? = nil) {
        self.sequence = sequence
        self.evict = evict
        self.pull = pull
    }
}

/// The slave's answer: every order of the batch was accepted but those in `refused` (no room for the pull; their
/// evictions were done all the same). `usage` includes evictions and reservations of the whole batch.
public struct OrderReply: Sendable, Codable {
    public struct Refusal: Sendable, Codable {
        public var sequence: Int64
        public var error: BrimError
        public init(sequence: Int64, error: BrimError) {
            self.sequence = sequence
            self.error = error
        }
    }
    public var refused: [Refusal]
    public var usage: ServerUsage
    public init(refused: [Refusal], usage: ServerUsage) {
        self.refused = refused
        self.usage = usage
    }
}

/// `POST /v1/node/completions` on a master: pulls that ended, repeated until it is answered.
public struct CompletionsRequest: Sendable, Codable {
    public struct Item: Sendable, Codable {
        public var sequence: Int64
        public var file: FileID
        public var blob: BlobID
        /// nil: the blob is durable on the slave. Else why not.
        public var error: BrimError?
        /// Holders whose copy was found corrupt or missing on the way.
        public var badSources: [ServerName]
        public init(sequence: Int64, file: FileID, blob: BlobID, error: BrimError?, badSources: [ServerName] = []) {
            self.sequence = sequence
            self.file = file
            self.blob = blob
            self.error = error
            self.badSources = badSources
        }
    }
    public var name: ServerName
    public var id: String
    public var term: Int64
    public var items: [Item]
    public var usage: ServerUsage
    public init(name: ServerName, id: String, term: Int64, items: [Item], usage: ServerUsage) {
        self.name = name
        self.id = id
        self.term = term
        self.items = items
        self.usage = usage
    }
}

/// For each blob that arrived: kept (it is entered now) or to be discarded (its file changed or went meanwhile).
public struct CompletionsReply: Sendable, Codable {
    public var keep: [BlobID]
    public var discard: [BlobID]
    public init(keep: [BlobID], discard: [BlobID]) {
        self.keep = keep
        self.discard = discard
    }
}

/// `POST /v1/node/commit` on a master, from the first target of each of these writes. The reply is a `CommitReply`.
public struct CommitRequest: Sendable, Codable {
    /// A write whose blob is durable.
    public struct Item: Sendable, Codable {
        /// The write token of the upload: holds the `WriteGrant`.
        public var token: String
        public var size: Int64
        public var checksum: Checksum
        /// Targets on which the blob is durable.
        public var made: [ServerName]
        /// What they use with it; those are left out that do not tell.
        public var usages: [TargetUsage]?
        public init(token: String, size: Int64, checksum: Checksum, made: [ServerName], usages: [TargetUsage]?) {
            self.token = token
            self.size = size
            self.checksum = checksum
            self.made = made
            self.usages = usages
        }
    }
    public var name: ServerName
    public var id: String
    public var writes: [Item]
    public init(name: ServerName, id: String, writes: [Item]) {
        self.name = name
        self.id = id
        self.writes = writes
    }
}

/// One outcome per write, in order: what was committed, or the error.
public struct CommitReply: Sendable, Codable {
    public struct Item: Sendable, Codable {
        public var done: Committed?
        public var error: BrimError?
        public init(done: Committed) { self.done = done }
        public init(error: BrimError) { self.error = error }
    }
    public var writes: [Item]
    public init(writes: [Item]) { self.writes = writes }
}

/// A write that a master has entered.
public struct Committed: Sendable, Codable {
    public var write: WriteReply
    /// For the catalog rows of all targets.
    public var label: BlobLabel
    public init(write: WriteReply, label: BlobLabel) {
        self.write = write
        self.label = label
    }
}

/// `POST /v1/confirm` on a slave, from the first target of a write: these blobs are committed.
public struct ConfirmRequest: Sendable, Codable {
    public struct Item: Sendable, Codable {
        public var blob: BlobID
        public var label: BlobLabel
        public init(blob: BlobID, label: BlobLabel) {
            self.blob = blob
            self.label = label
        }
    }
    public var items: [Item]
    public init(items: [Item]) { self.items = items }
}

/// `POST /v1/node/room` on a master: a slave lacks this many bytes for a write under way; a success means that copies
/// were given up there and the slave may try again; `.full` that nothing more can be given up.
public struct RoomRequest: Sendable, Codable {
    public var name: ServerName
    public var id: String
    public var bytes: Int64
    public init(name: ServerName, id: String, bytes: Int64) {
        self.name = name
        self.id = id
        self.bytes = bytes
    }
}

/// `POST /v1/node/reads` on the leader: how much blobs were read by clients since the last time. Answered by an empty object.
public struct ReadsReport: Sendable, Codable {
    public var name: ServerName
    public var id: String
    public var reads: [ReadCount]
    public init(name: ServerName, id: String, reads: [ReadCount]) {
        self.name = name
        self.id = id
        self.reads = reads
    }
}

/// How much a blob was read.
public struct ReadCount: Sendable, Codable, Hashable {
    /// Of one blob in one report.
    public static let most = 1e6

    public var blob: BlobID
    /// Bytes sent, over the blob's size: half of a file twice is 1. Of an empty blob the number of times.
    public var reads: Double
    public init(blob: BlobID, reads: Double) {
        self.blob = blob
        self.reads = reads
    }
}
