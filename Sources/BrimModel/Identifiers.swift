/// The number of one directory entry, allocated by the masters; the root directory is 1. Never used again.
public struct FileID: RawRepresentable, Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    public let rawValue: Int64

    public init(rawValue: Int64) { self.rawValue = rawValue }
    public init(_ rawValue: Int64) { self.rawValue = rawValue }

    public static let root = FileID(1)

    public var description: String { String(rawValue) }
    public static func < (a: FileID, b: FileID) -> Bool { a.rawValue < b.rawValue }

    public init(from decoder: any Decoder) throws {
        rawValue = try decoder.singleValueContainer().decode(Int64.self)
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// The id of one immutable blob: 12 bytes, written as 24 lowercase hex digits, in MongoDB an ObjectId.
///
/// Bytes 0–3 are seconds since 1970, 4–8 random per process, 9–11 a counter, so ids made by many masters never meet.
public struct BlobID: Hashable, Sendable, Codable, Comparable, CustomStringConvertible, LosslessStringConvertible {
    /// Bytes 0–3.
    private let high: UInt32
    /// Bytes 4–11.
    private let low: UInt64

    /// Parses 24 hex digits of either case.
    public init?(_ text: String) {
        guard text.utf8.count == 24 else { return nil }
        var (high, low) = (UInt32(0), UInt64(0))
        for (place, digit) in text.utf8.enumerated() {
            guard let value = Self.nibble(digit) else { return nil }
            if place < 8 { high = high << 4 | UInt32(value) } else { low = low << 4 | UInt64(value) }
        }
        self.init(high: high, low: low)
    }

    /// The id with these 12 bytes; nil for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 12 else { return nil }
        high = bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
        low = bytes.dropFirst(4).reduce(0) { $0 << 8 | UInt64($1) }
    }

    init(high: UInt32, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// When it was made, in seconds since 1970, on the clock of the master that made it.
    public var seconds: Int64 { Int64(high) }

    /// The 12 bytes, most significant first.
    public var bytes: [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: high >> (24 - 8 * $0)) }
            + (0..<8).map { UInt8(truncatingIfNeeded: low >> (56 - 8 * $0)) }
    }

    public var description: String {
        String(unsafeUninitializedCapacity: 24) { text in
            for place in 0..<24 {
                let digit =
                    UInt8(truncatingIfNeeded: place < 8 ? UInt64(high) >> (28 - 4 * place) : low >> (92 - 4 * place))
                    & 15
                text[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            }
            return 24
        }
    }

    public static func < (a: BlobID, b: BlobID) -> Bool { (a.high, a.low) < (b.high, b.low) }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let id = BlobID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "a blob id is 24 hex digits")
        }
        self = id
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Makes blob ids; one per process.
public struct BlobIDGenerator: Sendable {
    private let process: UInt64
    private var counter: UInt32

    public init(using random: inout some RandomNumberGenerator) {
        process = UInt64.random(in: 0..<(1 << 40), using: &random)
        counter = UInt32.random(in: 0..<(1 << 24), using: &random)
    }

    public init() {
        var random = SystemRandomNumberGenerator()
        self.init(using: &random)
    }

    /// The next id; `seconds` is the time since 1970.
    public mutating func next(seconds: UInt32) -> BlobID {
        counter = (counter + 1) & 0xff_ffff
        return BlobID(high: seconds, low: process << 24 | UInt64(counter))
    }
}

/// The name of a server: 1–63 characters of letters, digits, `.`, `_` and `-`, starting with a letter or digit.
public struct ServerName: Hashable, Sendable, Codable, Comparable, CustomStringConvertible, RawRepresentable {
    public let rawValue: String

    public init?(rawValue: String) {
        let bytes = Array(rawValue.utf8)
        func alphanumeric(_ c: UInt8) -> Bool {
            (48...57).contains(c) || (65...90).contains(c) || (97...122).contains(c)
        }
        guard let first = bytes.first, bytes.count <= 63, alphanumeric(first),
            bytes.allSatisfy({ alphanumeric($0) || $0 == 45 || $0 == 46 || $0 == 95 })
        else { return nil }
        self.rawValue = rawValue
    }

    /// Parses a name given by a person or a peer. Throws `.invalid`.
    public init(validating text: String) throws {
        guard let name = ServerName(rawValue: text) else {
            throw BrimError(
                .invalid, "'\(text)' is not a server name",
                advice: "Use 1 to 63 letters, digits, '.', '_' or '-', starting with a letter or digit")
        }
        self = name
    }

    public var description: String { rawValue }
    public static func < (a: ServerName, b: ServerName) -> Bool {
        a.rawValue.utf8.lexicographicallyPrecedes(b.rawValue.utf8)
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let name = ServerName(rawValue: text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not a server name")
        }
        self = name
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}
