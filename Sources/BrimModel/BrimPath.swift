/// One component of a path: UTF-8 of 1–255 bytes without `/` and NUL, and neither `.` nor `..`.
///
/// Names are compared, sorted and hashed by their UTF-8 bytes: NFC and NFD spellings are two names.
public struct EntryName: Hashable, Sendable, Comparable, Codable, CustomStringConvertible {
    public let text: String

    /// Checks a name. Throws `.invalid`, saying which rule it breaks.
    public init(_ text: String) throws {
        let bytes = text.utf8
        let problem: String? =
            if bytes.isEmpty {
                "is empty"
            } else if bytes.count > Limits.nameBytes {
                "has \(bytes.count) bytes, more than \(Limits.nameBytes)"
            } else if text == "." || text == ".." {
                "is reserved"
            } else if bytes.contains(0) {
                "contains a NUL byte"
            } else if bytes.contains(UInt8(ascii: "/")) {
                "contains '/'"
            } else {
                nil
            }
        if let problem {
            throw BrimError(.invalid, "the name '\(text.prefix(64))' \(problem)", advice: "Choose another name")
        }
        self.text = text
    }

    /// Checks bytes that may not be UTF-8. Throws `.invalid`.
    public init(utf8 bytes: some Collection<UInt8>) throws {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw BrimError(.invalid, "a name is not valid UTF-8", advice: "Rename it with UTF-8 characters")
        }
        try self.init(text)
    }

    public var description: String { text }
    public static func == (a: EntryName, b: EntryName) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }
    public static func < (a: EntryName, b: EntryName) -> Bool { a.text.utf8.lexicographicallyPrecedes(b.text.utf8) }
    public func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(UInt8(0xff))
    }

    public init(from decoder: any Decoder) throws {
        try self.init(try decoder.singleValueContainer().decode(String.self))
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// An absolute path in the swarm: `/` or `/a/b/c`, at most 255 components and 4096 bytes.
public struct BrimPath: Hashable, Sendable, Codable, CustomStringConvertible {
    public let components: [EntryName]

    public static let root = BrimPath(unchecked: [])

    private init(unchecked components: [EntryName]) { self.components = components }

    /// Throws `.invalid` beyond the limits.
    public init(_ components: [EntryName]) throws {
        let bytes = components.reduce(0) { $0 + $1.text.utf8.count + 1 }
        guard components.count <= Limits.pathComponents, bytes <= Limits.pathBytes else {
            throw BrimError(
                .invalid, "the path has \(components.count) components and \(bytes) bytes",
                advice: "At most \(Limits.pathComponents) components and \(Limits.pathBytes) bytes are allowed")
        }
        self.components = components
    }

    /// Parses a path typed by a person: a leading `/` may be missing, doubled and trailing slashes are dropped.
    /// Throws `.invalid`.
    public init(parsing text: String) throws {
        try self.init(text.utf8.split(separator: UInt8(ascii: "/")).map { try EntryName(utf8: $0) })
    }

    /// Parses the raw path of a URL after a route's prefix: components are percent-decoded once, then checked; one
    /// trailing slash is dropped and empty components are refused. Throws `.invalid`.
    public init(percentEncoded text: some StringProtocol) throws {
        var bytes = Array(text.utf8)
        let slash = UInt8(ascii: "/")
        if bytes.first == slash { bytes.removeFirst() }
        if bytes.last == slash { bytes.removeLast() }
        guard !bytes.isEmpty else {
            self = .root
            return
        }
        try self.init(
            bytes.split(separator: slash, omittingEmptySubsequences: false).map {
                try EntryName(utf8: try PercentEncoding.decode($0))
            })
    }

    public var isRoot: Bool { components.isEmpty }
    public var name: EntryName? { components.last }
    /// The directory that holds this; nil for the root.
    public var parent: BrimPath? { isRoot ? nil : BrimPath(unchecked: Array(components.dropLast())) }

    /// This path with one more component. Throws `.invalid` beyond the limits.
    public func appending(_ name: EntryName) throws -> BrimPath { try BrimPath(components + [name]) }

    /// Whether `other` is this path or lies below it.
    public func contains(_ other: BrimPath) -> Bool { other.components.starts(with: components) }

    public var description: String { isRoot ? "/" : components.map { "/" + $0.text }.joined() }

    /// The path with each component percent-encoded, `/` for the root: ready to follow a route's prefix in a URL.
    public var percentEncoded: String {
        isRoot ? "/" : components.map { "/" + PercentEncoding.encode($0.text) }.joined()
    }

    public init(from decoder: any Decoder) throws {
        try self.init(parsing: try decoder.singleValueContainer().decode(String.self))
    }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Percent-encoding of URL components (RFC 3986, section 2.1).
public enum PercentEncoding {
    /// Encodes everything but unreserved characters.
    public static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                out.append(byte)
            default:
                out += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    /// Decodes `%XX` once. Throws `.invalid` for a `%` without two hex digits.
    public static func decode(_ bytes: some Collection<UInt8>) throws -> [UInt8] {
        let bytes = Array(bytes)
        guard var place = bytes.firstIndex(of: UInt8(ascii: "%")) else { return bytes }
        var out = Array(bytes[..<place])
        while place < bytes.count {
            guard bytes[place] == UInt8(ascii: "%") else {
                out.append(bytes[place])
                place += 1
                continue
            }
            guard place + 2 < bytes.count, let high = hex(bytes[place + 1]), let low = hex(bytes[place + 2]) else {
                throw BrimError(
                    .invalid, "a '%' in the URL is not followed by two hex digits", advice: "Write it as %25")
            }
            out.append(high << 4 | low)
            place += 3
        }
        return out
    }

    private static func hex(_ digit: UInt8) -> UInt8? {
        guard let value = Character(UnicodeScalar(digit)).hexDigitValue, digit < 128 else { return nil }
        return UInt8(value)
    }
}
