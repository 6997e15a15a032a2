/// How the leader judges a server.
public enum ServerState: String, Sendable, Codable, CaseIterable {
    /// It answers; it may receive copies.
    case up
    /// Silent for a while: last choice for reads, no new copies, still counted.
    case suspect
    /// Silent for long, or not reconciled yet: its copies do not count.
    case down
    /// To be emptied: readable while it answers, but its copies do not count and nothing new goes there. Shown in place
    /// of how it is judged; never stored.
    case draining

    /// How a server may be judged.
    public static let judgements: [ServerState] = [.up, .suspect, .down]
}

/// How busy a server is; each share is from 0 (idle) to 1 (saturated).
public struct ServerLoad: Sendable, Codable, Hashable {
    public var cpu: Double
    public var network: Double
    public var disk: Double
    /// Uploads, downloads and pulls under way.
    public var transfers: Int

    public init(cpu: Double = 0, network: Double = 0, disk: Double = 0, transfers: Int = 0) {
        self.cpu = cpu
        self.network = network
        self.disk = disk
        self.transfers = transfers
    }

    /// The busiest of the three shares.
    public var peak: Double { max(cpu, network, disk) }
}

/// Space on a server at one moment, as the slave itself counts it.
public struct ServerUsage: Sendable, Codable, Hashable {
    /// Changes whenever the slave starts; with `count` it orders usages of one server.
    public var boot: String
    /// Rises with each change of the numbers below, from 0 at each start.
    public var count: Int64
    /// Bytes of blobs, those being received included (what is reserved for them).
    public var used: Int64
    /// Of `used`: bytes reserved for writes and pulls under way.
    public var reserved: Int64
    /// Of `reserved`: bytes for writes of clients, which a master may have granted before.
    public var writing: Int64
    /// Bytes the file system could still take, before the quota is looked at and after 1 % of the disk is set aside.
    public var diskFree: Int64
    /// Blobs stored.
    public var files: Int64

    public init(
        boot: String, count: Int64, used: Int64, reserved: Int64 = 0, writing: Int64 = 0, diskFree: Int64, files: Int64
    ) {
        self.boot = boot
        self.count = count
        self.used = used
        self.reserved = reserved
        self.writing = writing
        self.diskFree = diskFree
        self.files = files
    }
}

/// What is wrong with the disk of a server that still answers: it takes nothing new.
public struct ServerFault: Sendable, Codable, Hashable {
    /// In words, for people.
    public var reason: String
    /// Whether what is stored there can still be read. If not, the server is judged as if it were silent.
    public var isReadable: Bool

    public init(reason: String, isReadable: Bool) {
        self.reason = reason
        self.isReadable = isReadable
    }
}

/// How much of each server is kept free of spare copies: a share of its quota or a fixed size.
public enum Headroom: Sendable, Hashable, CustomStringConvertible {
    case share(Double)
    case bytes(Int64)

    public static let standard = Headroom.share(0.02)

    /// Parses `2%`, `0` or `10G`. Throws `.invalid`.
    public init(parsing text: String) throws {
        if text.hasSuffix("%") {
            guard let percent = Double(text.dropLast()), (0...100).contains(percent) else {
                throw BrimError(.invalid, "'\(text)' is not a share from 0% to 100%")
            }
            self = .share(percent / 100)
        } else {
            self = .bytes(try ByteCount.parse(text))
        }
    }

    /// How far a server of this quota is filled with copies, in bytes: at least 0.
    public func brim(ofQuota quota: Int64) -> Int64 {
        switch self {
        // Above 2^53 a Double may round up beyond the quota.
        case .share(let share): quota - min(quota, Int64(exactly: (Double(quota) * share).rounded(.down)) ?? quota)
        case .bytes(let bytes): max(0, quota - bytes)
        }
    }

    public var description: String {
        switch self {
        case .share(let share):
            // 0.07 * 100 is not quite 7.
            let percent = (share * 1e8).rounded() / 1e6
            return percent == percent.rounded() ? "\(Int(percent))%" : "\(percent)%"
        case .bytes(let bytes): return String(bytes)
        }
    }
}

/// Settings of a swarm that every part follows; a master tells its slaves.
public struct SwarmSettings: Sendable, Hashable {
    /// n of a file for which nothing else says otherwise.
    public var copies = 3
    /// The most copies a write waits for.
    public var writeCopies = 2
    /// The most copies a file is given.
    public var maxCopies = 16
    /// The surplus that a copy's file must exceed before the copy may be given up.
    public var floor = 0
    public var headroom = Headroom.standard
    public var heartbeat = Duration.seconds(5)
    public var suspectAfter = Duration.seconds(15)
    public var downAfter = Duration.seconds(300)
    /// Every copy is read and compared with its checksums this often.
    public var scrubInterval = Duration.seconds(30 * 86_400)
    /// Bytes a second that a server reads for that, at most.
    public var scrubRate: Int64 = 20_000_000
    /// How busy a disk may be (0–1) before that waits.
    public var scrubLoad = 0.5
    /// Copies that may be given up within `breakerWindow` without a known cause, whatever their share of all is.
    public var breakerCopies = 1000
    /// The same as a share of all copies (0–1); the greater of the two counts.
    public var breakerShare = 0.1
    public var breakerWindow = Duration.seconds(600)
    /// A sample of the metadata is compared with what slaves know this often; zero: never.
    public var drillEvery = Duration.seconds(86_400)

    public init() {}
}
