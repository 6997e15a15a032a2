import BrimModel
import BrimWire

/// How much of a disk a slave may fill.
public enum QuotaSetting: Sendable, Hashable, CustomStringConvertible {
    case bytes(Int64)
    /// Of the whole disk, above 0 to 1.
    case share(Double)

    /// Parses `500G`, `10` or `80%`. Throws `.invalid`.
    public init(parsing text: String) throws {
        guard text.hasSuffix("%") else {
            self = .bytes(try ByteCount.parse(text))
            return
        }
        guard let percent = Double(text.dropLast()), percent > 0, percent <= 100 else {
            throw BrimError(.invalid, "'\(text)' is not a share of the disk", advice: "Write for example 80%")
        }
        self = .share(percent / 100)
    }

    /// In bytes, for a disk of this size.
    func bytes(ofDisk total: Int64) -> Int64 {
        switch self {
        case .bytes(let bytes): bytes
        case .share(let share): Int64((Double(total) * share).rounded(.down))
        }
    }

    public var description: String {
        switch self {
        case .bytes(let bytes): return String(bytes)
        case .share(let share):
            let percent = share * 100
            return percent == percent.rounded() ? "\(Int(percent))%" : "\(percent)%"
        }
    }
}

/// What a slave is started with.
public struct SlaveConfiguration: Sendable {
    /// URLs, as from `masterURLs(parsing:)`; the first that works is used.
    public var masters: [String]
    /// Holds everything the slave keeps; made when missing.
    public var dataDirectory: String
    public var quota: QuotaSetting
    /// nil: what the data directory says, else the host's name, with `-2`, `-3`, … when it is taken.
    public var name: ServerName?
    /// Copies of a file go to different zones where they can; nil: the host's name.
    public var zone: String?
    /// nil: port 4243 of all addresses, or the next free one.
    public var listen: HostPort?
    /// nil: the address from which the master is reached, and the port it listens on.
    public var advertise: HostPort?
    public var keys: SwarmKeys
    /// Told to masters and shown with the servers.
    public var version: String
    /// A blob that was received and not confirmed for so long is asked about.
    public var pendingExpiry = Duration.seconds(15 * 60)
    /// How long a transfer may stand still.
    public var transferIdle = Duration.seconds(30)
    /// Pulls under way at a time.
    public var pulls = 8
    /// Threads that read and write blobs.
    public var diskThreads = 16
    /// How much of the namespace it keeps a copy of, to answer readers without a master.
    public var namespace = NamespaceSetting.auto
    /// Entries above which `auto` keeps only this server's own files.
    public var namespaceLimit: Int64 = 5_000_000
    /// How long a commit is asked for when masters do not answer.
    public var commitPatience = Duration.seconds(10)

    public init(
        masters: [String], dataDirectory: String, quota: QuotaSetting, name: ServerName? = nil, zone: String? = nil,
        listen: HostPort? = nil, advertise: HostPort? = nil, keys: SwarmKeys, version: String = "dev"
    ) {
        self.masters = masters
        self.dataDirectory = dataDirectory
        self.quota = quota
        self.name = name
        self.zone = zone
        self.listen = listen
        self.advertise = advertise
        self.keys = keys
        self.version = version
    }
}
