import Foundation

/// What a directory entry is.
public enum EntryType: String, Sendable, Codable {
    case file, directory, symlink
}

/// A moment with nanoseconds, as POSIX file times are kept: MongoDB dates hold only milliseconds.
public struct Timestamp: Sendable, Hashable, Comparable {
    /// Seconds since 1970; may be negative.
    public var seconds: Int64
    /// 0–999,999,999.
    public var nanoseconds: Int32

    public init(seconds: Int64, nanoseconds: Int32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// Milliseconds since 1970.
    public init(milliseconds: Int64) {
        let seconds = (milliseconds - (milliseconds % 1000 + 1000) % 1000) / 1000
        self.init(seconds: seconds, nanoseconds: Int32((milliseconds - seconds * 1000) * 1_000_000))
    }

    /// The system's clock.
    public static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(seconds: Int64(time.tv_sec), nanoseconds: Int32(time.tv_nsec))
    }

    /// Since 1970, rounded down.
    public var milliseconds: Int64 { seconds * 1000 + Int64(nanoseconds) / 1_000_000 }

    /// So much later, to the millisecond.
    public func adding(_ duration: Duration) -> Timestamp {
        let total = Int64(nanoseconds) + duration.wholeMilliseconds % 1000 * 1_000_000
        let carried = total >= 1_000_000_000 ? Int64(1) : total < 0 ? -1 : 0
        return Timestamp(
            seconds: seconds + duration.wholeMilliseconds / 1000 + carried,
            nanoseconds: Int32(total - carried * 1_000_000_000))
    }

    /// How much later it is than another time, to the millisecond; negative for an earlier one.
    public func since(_ other: Timestamp) -> Duration { .milliseconds(milliseconds - other.milliseconds) }

    public var date: Date { Date(timeIntervalSince1970: Double(seconds) + Double(nanoseconds) / 1e9) }
    public static func < (a: Timestamp, b: Timestamp) -> Bool {
        (a.seconds, a.nanoseconds) < (b.seconds, b.nanoseconds)
    }
}

/// RFC 3339 with nanoseconds (`2026-11-22T18:40:00.000000001Z`), in every JSON of BrimFS.
extension Timestamp: Codable, CustomStringConvertible, LosslessStringConvertible {
    public var description: String {
        var time = time_t(seconds)
        var parts = tm()
        gmtime_r(&time, &parts)
        func pad(_ value: some BinaryInteger, _ width: Int) -> String {
            let text = String(value)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        let day = "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(parts.tm_mon + 1, 2))-\(pad(parts.tm_mday, 2))"
        let clock = "\(pad(parts.tm_hour, 2)):\(pad(parts.tm_min, 2)):\(pad(parts.tm_sec, 2))"
        return nanoseconds == 0 ? "\(day)T\(clock)Z" : "\(day)T\(clock).\(pad(nanoseconds, 9))Z"
    }

    /// Parses RFC 3339 in UTC (`Z`), with 0–9 digits of a second's fraction.
    public init?(_ text: String) {
        guard
            let match = text.wholeMatch(
                of: /(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?[Zz]/)
        else { return nil }
        var parts = tm()
        guard let year = Int32(match.1), let month = Int32(match.2), let day = Int32(match.3),
            let hour = Int32(match.4), let minute = Int32(match.5), let second = Int32(match.6),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 61
        else { return nil }
        parts.tm_year = year - 1900
        parts.tm_mon = month - 1
        parts.tm_mday = day
        parts.tm_hour = hour
        parts.tm_min = minute
        parts.tm_sec = second
        let fraction = match.7.map { String($0) + String(repeating: "0", count: 9 - $0.count) } ?? "0"
        let seconds = Int64(timegm(&parts))
        // timegm turns a day that the month does not have into one of the next; a leap second may do so rightly.
        guard parts.tm_mday == day || second == 60 else { return nil }
        self.init(seconds: seconds, nanoseconds: Int32(fraction) ?? 0)
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let time = Timestamp(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "a time is RFC 3339 in UTC")
        }
        self = time
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// The value of a userland variable on a file.
public enum AttributeValue: Sendable, Hashable, Codable {
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)

    /// Reads `true`, `7`, `2.5` or text, as typed on the command line.
    public init(parsing text: String) {
        self =
            if text == "true" || text == "false" {
                .bool(text == "true")
            } else if let value = Int64(text) {
                .int(value)
            } else if let value = Double(text), value.isFinite {
                .double(value)
            } else {
                .string(text)
            }
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        self =
            if let value = try? container.decode(Bool.self) {
                .bool(value)
            } else if let value = try? container.decode(Int64.self) {
                .int(value)
            } else if let value = try? container.decode(Double.self) {
                .double(value)
            } else {
                .string(try container.decode(String.self))
            }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .bool(let value): try container.encode(value)
        case .int(let value): try container.encode(value)
        case .double(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        }
    }
}

/// What is particular to regular files: where the bytes are and how many copies are wanted and counted.
public struct FileContent: Sendable, Hashable {
    /// Rises by one with each overwrite, from 1.
    public var version: Int64
    public var blob: BlobID
    /// Bytes.
    public var size: Int64
    public var checksum: Checksum
    /// Wanted copies, 1…`Limits.maxCopies`; of what is in the trash, `Trash.n(at:)`.
    public var n: Int
    /// Counted copies.
    public var k: Int
    /// Whether some holder is up, suspect or draining.
    public var readable: Bool
    /// The servers that hold the blob, whether or not they are up.
    public var replicas: [ServerName]
    /// Who chose n: a rule's name, or one of `PolicyName`.
    public var policy: String
    /// How much it was read lately; nil: not at all, or not measured yet.
    public var reads: MeasuredReads?

    public var surplus: Int { k - n }

    public init(
        version: Int64, blob: BlobID, size: Int64, checksum: Checksum, n: Int, k: Int, readable: Bool,
        replicas: [ServerName], policy: String = PolicyName.standard, reads: MeasuredReads? = nil
    ) {
        self.version = version
        self.blob = blob
        self.size = size
        self.checksum = checksum
        self.n = n
        self.k = k
        self.readable = readable
        self.replicas = replicas
        self.policy = policy
        self.reads = reads
    }
}

/// Names that stand in a file's `policy` for what is no rule of the swarm's, and which no rule may have.
public enum PolicyName {
    /// Somebody set the file's n.
    public static let explicit = "explicit"
    /// A directory above it has one.
    public static let directory = "directory"
    /// The swarm's default.
    public static let standard = "default"
    /// The program that a master was started with.
    public static let program = "program"
    /// Of removed files and of blobs that were abandoned.
    public static let trash = "trash", abandoned = "abandoned"

    public static let reserved: Set = [explicit, directory, standard, program, trash, abandoned]
}

/// One entry of the namespace.
public struct Entry: Sendable, Hashable {
    public var id: FileID
    /// The directory it is in; nil for the root.
    public var parent: FileID?
    /// Its name there; nil for the root.
    public var name: EntryName?
    public var type: EntryType
    /// Permission bits, 0…0o7777.
    public var mode: Int
    public var created: Timestamp
    public var modified: Timestamp
    /// Rises with each change of the entry, from 1.
    public var rev: Int64
    public var attributes: [String: AttributeValue]
    /// Regular files only.
    public var content: FileContent?
    /// Symbolic links only.
    public var target: String?
    /// Directories only: the n of files that are made below, where no directory between says otherwise.
    public var copies: Int?

    public init(
        id: FileID, parent: FileID?, name: EntryName?, type: EntryType, mode: Int, created: Timestamp,
        modified: Timestamp, rev: Int64 = 1, attributes: [String: AttributeValue] = [:], content: FileContent? = nil,
        target: String? = nil, copies: Int? = nil
    ) {
        self.id = id
        self.parent = parent
        self.name = name
        self.type = type
        self.mode = mode
        self.created = created
        self.modified = modified
        self.rev = rev
        self.attributes = attributes
        self.content = content
        self.target = target
        self.copies = copies
    }
}
