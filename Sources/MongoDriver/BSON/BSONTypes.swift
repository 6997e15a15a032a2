import Foundation

/// Bytes with a subtype; 0 is the generic one, 4 a UUID.
public struct BSONBinary: Sendable, Hashable {
    public var subtype: UInt8
    public var bytes: [UInt8]

    public init(_ bytes: [UInt8], subtype: UInt8 = 0) {
        self.bytes = bytes
        self.subtype = subtype
    }
}

/// In BSON a binary, in any other format what `Data` is there (Base64 in JSON); the subtype is lost there.
extension BSONBinary: Codable {
    public init(from decoder: any Decoder) throws {
        self.init(Array(try decoder.singleValueContainer().decode(Data.self)))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Data(bytes))
    }
}

/// A position in MongoDB's operation log. For points in time use a date.
public struct BSONTimestamp: Sendable, Hashable, Comparable, Codable {
    /// Since 1970.
    public var seconds: UInt32
    public var increment: UInt32

    public init(seconds: UInt32, increment: UInt32) {
        self.seconds = seconds
        self.increment = increment
    }

    public static func < (left: BSONTimestamp, right: BSONTimestamp) -> Bool {
        (left.seconds, left.increment) < (right.seconds, right.increment)
    }
}

/// A regular expression; neither part may hold a NUL.
public struct BSONRegex: Sendable, Hashable, Codable {
    public var pattern: String
    /// Letters in alphabetical order, such as `im`.
    public var options: String

    public init(_ pattern: String, options: String = "") {
        self.pattern = pattern
        self.options = options
    }
}

/// A deprecated reference to a document, kept intact when met.
public struct BSONDBPointer: Sendable, Hashable, Codable {
    public var namespace: String
    public var id: ObjectID

    public init(namespace: String, id: ObjectID) {
        self.namespace = namespace
        self.id = id
    }
}

/// JavaScript with the variables that it sees.
public struct BSONCodeWithScope: Sendable, Hashable, Codable {
    public var code: String
    public var scope: BSONDocument

    public init(_ code: String, scope: BSONDocument) {
        self.code = code
        self.scope = scope
    }
}
