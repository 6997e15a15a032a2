import Foundation

/// Any value that BSON knows; each type stays what it was from parsing to writing.
///
/// Two values are equal when they are of one type and hold the same; strings are compared by their UTF-8 bytes, so
/// that two spellings of `é` differ, as they do in MongoDB.
public enum BSONValue: Sendable {
    case double(Double)
    case string(String)
    case document(BSONDocument)
    case array([BSONValue])
    case binary(BSONBinary)
    /// Deprecated, kept intact when met.
    case undefined
    case objectID(ObjectID)
    case bool(Bool)
    /// Milliseconds since 1970, UTC.
    case date(milliseconds: Int64)
    case null
    indirect case regex(BSONRegex)
    /// Deprecated, kept intact when met.
    indirect case dbPointer(BSONDBPointer)
    case code(String)
    indirect case codeWithScope(BSONCodeWithScope)
    /// Deprecated, kept intact when met.
    case symbol(String)
    case int32(Int32)
    case timestamp(BSONTimestamp)
    case int64(Int64)
    case decimal128(BSONDecimal128)
    case minKey
    case maxKey
}

extension BSONValue {
    /// An int64.
    public static func int(_ value: Int) -> BSONValue { .int64(Int64(value)) }

    /// An array of strings.
    public static func strings(_ values: some Sequence<String>) -> BSONValue { .array(values.map { .string($0) }) }

    /// An array of documents.
    public static func documents(_ values: some Sequence<BSONDocument>) -> BSONValue {
        .array(values.map { .document($0) })
    }

    /// A date, rounded down to the millisecond; one too far away for BSON becomes the last that it can hold.
    public init(_ date: Date) {
        let milliseconds = (date.timeIntervalSince1970 * 1000).rounded(.down)
        let largest = Double(Int64.max)
        self = .date(
            milliseconds: milliseconds >= largest ? .max : milliseconds <= -largest ? .min : Int64(milliseconds))
    }

    public var stringValue: String? { if case .string(let value) = self { value } else { nil } }
    public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
    public var documentValue: BSONDocument? { if case .document(let value) = self { value } else { nil } }
    public var arrayValue: [BSONValue]? { if case .array(let value) = self { value } else { nil } }
    public var objectIDValue: ObjectID? { if case .objectID(let value) = self { value } else { nil } }
    public var binaryValue: BSONBinary? { if case .binary(let value) = self { value } else { nil } }
    public var timestampValue: BSONTimestamp? { if case .timestamp(let value) = self { value } else { nil } }

    /// Of an int32, an int64, or a double that is integral and in range.
    public var int64Value: Int64? {
        switch self {
        case .int32(let value): Int64(value)
        case .int64(let value): value
        case .double(let value): Int64(exactly: value)
        default: nil
        }
    }

    /// As `int64Value`.
    public var intValue: Int? { int64Value.flatMap(Int.init(exactly:)) }

    /// Of an int32, an int64 (rounded above 2^53) or a double.
    public var doubleValue: Double? {
        switch self {
        case .int32(let value): Double(value)
        case .int64(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    public var dateValue: Date? {
        guard case .date(let milliseconds) = self else { return nil }
        return Date(timeIntervalSince1970: Double(milliseconds) / 1000)
    }

    /// Null or undefined.
    public var isNull: Bool {
        switch self {
        case .null, .undefined: true
        default: false
        }
    }

    /// The type's alias as `$type` and `$jsonSchema` know it.
    public var typeName: String {
        switch self {
        case .double: "double"
        case .string: "string"
        case .document: "object"
        case .array: "array"
        case .binary: "binData"
        case .undefined: "undefined"
        case .objectID: "objectId"
        case .bool: "bool"
        case .date: "date"
        case .null: "null"
        case .regex: "regex"
        case .dbPointer: "dbPointer"
        case .code: "javascript"
        case .codeWithScope: "javascriptWithScope"
        case .symbol: "symbol"
        case .int32: "int"
        case .timestamp: "timestamp"
        case .int64: "long"
        case .decimal128: "decimal"
        case .minKey: "minKey"
        case .maxKey: "maxKey"
        }
    }
}

extension BSONValue: Hashable {
    public static func == (left: BSONValue, right: BSONValue) -> Bool {
        switch (left, right) {
        case (.double(let a), .double(let b)): a == b
        case (.string(let a), .string(let b)), (.code(let a), .code(let b)), (.symbol(let a), .symbol(let b)):
            a.hasSameBytes(as: b)
        case (.document(let a), .document(let b)): a == b
        case (.array(let a), .array(let b)): a == b
        case (.binary(let a), .binary(let b)): a == b
        case (.objectID(let a), .objectID(let b)): a == b
        case (.bool(let a), .bool(let b)): a == b
        case (.date(let a), .date(let b)): a == b
        case (.regex(let a), .regex(let b)):
            a.pattern.hasSameBytes(as: b.pattern) && a.options.hasSameBytes(as: b.options)
        case (.dbPointer(let a), .dbPointer(let b)): a.namespace.hasSameBytes(as: b.namespace) && a.id == b.id
        case (.codeWithScope(let a), .codeWithScope(let b)): a.code.hasSameBytes(as: b.code) && a.scope == b.scope
        case (.int32(let a), .int32(let b)): a == b
        case (.timestamp(let a), .timestamp(let b)): a == b
        case (.int64(let a), .int64(let b)): a == b
        case (.decimal128(let a), .decimal128(let b)): a == b
        case (.undefined, .undefined), (.null, .null), (.minKey, .minKey), (.maxKey, .maxKey): true
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(typeName)
        switch self {
        case .double(let value): hasher.combine(value)
        case .string(let value), .code(let value), .symbol(let value): hasher.combine(value)
        case .document(let value): hasher.combine(value)
        case .array(let value): hasher.combine(value)
        case .binary(let value): hasher.combine(value)
        case .objectID(let value): hasher.combine(value)
        case .bool(let value): hasher.combine(value)
        case .date(let value): hasher.combine(value)
        case .regex(let value): hasher.combine(value)
        case .dbPointer(let value): hasher.combine(value)
        case .codeWithScope(let value): hasher.combine(value.code)
        case .int32(let value): hasher.combine(value)
        case .timestamp(let value): hasher.combine(value)
        case .int64(let value): hasher.combine(value)
        case .decimal128(let value): hasher.combine(value)
        case .undefined, .null, .minKey, .maxKey: break
        }
    }
}

extension String {
    /// Whether the UTF-8 bytes are the same: unlike `==`, which holds canonically equivalent texts to be equal.
    func hasSameBytes(as other: String) -> Bool {
        self == other && utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
    }
}
