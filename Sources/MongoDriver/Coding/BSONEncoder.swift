/// Turns `Encodable` values into BSON.
///
/// `Int`, `Int64`, `UInt` and the other integers become int64, `Int32` int32; an unsigned one above `Int64.max` is an
/// `EncodingError`. `Date` becomes a date (milliseconds, rounded down), `Data` and ``BSONBinary`` a binary, ``ObjectID``,
/// ``BSONDocument`` and ``BSONValue`` themselves. A nil property is left out.
public struct BSONEncoder: Sendable {
    public init() {}

    /// Throws `EncodingError` if the value is not one that becomes a document.
    public func encode(_ value: some Encodable) throws -> BSONDocument {
        guard case .document(let document) = try encodeValue(value) else {
            throw EncodingError.invalidValue(
                value, .init(codingPath: [], debugDescription: "\(type(of: value)) does not become a BSON document"))
        }
        return document
    }

    /// As `encode`, for a value of any kind.
    public func encodeValue(_ value: some Encodable) throws -> BSONValue {
        try ValueEncoder.encode(value, at: [])
    }
}

/// What is being built: a value, or a container that others may still write to.
private enum Building {
    case value(BSONValue)
    case document(DocumentBuilder)
    case array(ArrayBuilder)
    case encoder(ValueEncoder)

    var finished: BSONValue {
        switch self {
        case .value(let value): value
        case .document(let builder): .document(builder.finished)
        case .array(let builder): .array(builder.finished)
        case .encoder(let encoder): encoder.finished
        }
    }
}

private final class DocumentBuilder {
    private var document = BSONDocument()
    /// Elements whose value is still being built; a placeholder in `document` keeps their place.
    private var open: [(key: String, value: Building)] = []

    func set(_ key: String, _ value: BSONValue) {
        document[key] = value
    }

    func set(_ key: String, open value: Building) {
        document[key] = .null
        open.append((key, value))
    }

    var finished: BSONDocument {
        var result = document
        for (key, value) in open {
            result[key] = value.finished
        }
        return result
    }
}

private final class ArrayBuilder {
    private var values: [Building] = []

    var count: Int { values.count }

    func append(_ value: Building) {
        values.append(value)
    }

    var finished: [BSONValue] { values.map(\.finished) }
}

private final class ValueEncoder: Encoder {
    let codingPath: [any CodingKey]
    let userInfo: [CodingUserInfoKey: Any] = [:]
    private var building: Building?

    init(codingPath: [any CodingKey]) {
        self.codingPath = codingPath
    }

    static func encode<T: Encodable>(_ value: T, at path: [any CodingKey]) throws -> BSONValue {
        if let value = value as? any BSONRepresentable { return value.bsonValue }
        let encoder = ValueEncoder(codingPath: path)
        try value.encode(to: encoder)
        return encoder.finished
    }

    /// A value that encoded nothing is an empty document, as for other encoders.
    var finished: BSONValue { building?.finished ?? .document([:]) }

    func set(_ value: BSONValue) {
        building = .value(value)
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        let builder: DocumentBuilder
        if case .document(let present) = building {
            builder = present
        } else {
            builder = DocumentBuilder()
            building = .document(builder)
        }
        return KeyedEncodingContainer(KeyedWriter<Key>(builder: builder, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        let builder: ArrayBuilder
        if case .array(let present) = building {
            builder = present
        } else {
            builder = ArrayBuilder()
            building = .array(builder)
        }
        return UnkeyedWriter(builder: builder, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer {
        SingleWriter(encoder: self)
    }
}

/// An int64, or an `EncodingError` when the number is too large for one.
private func int64<T: BinaryInteger>(_ value: T, at path: [any CodingKey]) throws -> BSONValue {
    guard let number = Int64(exactly: value) else {
        throw EncodingError.invalidValue(
            value, .init(codingPath: path, debugDescription: "\(value) is larger than a BSON int64 can be"))
    }
    return .int64(number)
}

private struct KeyedWriter<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let builder: DocumentBuilder
    let codingPath: [any CodingKey]

    private func set(_ key: Key, _ value: BSONValue) {
        builder.set(key.stringValue, value)
    }

    func encodeNil(forKey key: Key) { set(key, .null) }
    func encode(_ value: Bool, forKey key: Key) { set(key, .bool(value)) }
    func encode(_ value: String, forKey key: Key) { set(key, .string(value)) }
    func encode(_ value: Double, forKey key: Key) { set(key, .double(value)) }
    func encode(_ value: Float, forKey key: Key) { set(key, .double(Double(value))) }
    func encode(_ value: Int, forKey key: Key) { set(key, .int64(Int64(value))) }
    func encode(_ value: Int8, forKey key: Key) { set(key, .int64(Int64(value))) }
    func encode(_ value: Int16, forKey key: Key) { set(key, .int64(Int64(value))) }
    func encode(_ value: Int32, forKey key: Key) { set(key, .int32(value)) }
    func encode(_ value: Int64, forKey key: Key) { set(key, .int64(value)) }
    func encode(_ value: UInt, forKey key: Key) throws { set(key, try int64(value, at: codingPath + [key])) }
    func encode(_ value: UInt8, forKey key: Key) { set(key, .int64(Int64(value))) }
    func encode(_ value: UInt16, forKey key: Key) { set(key, .int64(Int64(value))) }
    func encode(_ value: UInt32, forKey key: Key) { set(key, .int64(Int64(value))) }
    func encode(_ value: UInt64, forKey key: Key) throws { set(key, try int64(value, at: codingPath + [key])) }

    func encode<T: Encodable>(_ value: T, forKey key: Key) throws {
        set(key, try ValueEncoder.encode(value, at: codingPath + [key]))
    }

    func nestedContainer<Nested: CodingKey>(
        keyedBy keyType: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        let nested = DocumentBuilder()
        builder.set(key.stringValue, open: .document(nested))
        return KeyedEncodingContainer(KeyedWriter<Nested>(builder: nested, codingPath: codingPath + [key]))
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        let nested = ArrayBuilder()
        builder.set(key.stringValue, open: .array(nested))
        return UnkeyedWriter(builder: nested, codingPath: codingPath + [key])
    }

    func superEncoder() -> any Encoder { nestedEncoder(BSONKey.super) }
    func superEncoder(forKey key: Key) -> any Encoder { nestedEncoder(key) }

    private func nestedEncoder(_ key: any CodingKey) -> any Encoder {
        let encoder = ValueEncoder(codingPath: codingPath + [key])
        builder.set(key.stringValue, open: .encoder(encoder))
        return encoder
    }
}

private struct UnkeyedWriter: UnkeyedEncodingContainer {
    let builder: ArrayBuilder
    let codingPath: [any CodingKey]

    var count: Int { builder.count }
    private var nextPath: [any CodingKey] { codingPath + [BSONKey(intValue: count)] }

    private func append(_ value: BSONValue) {
        builder.append(.value(value))
    }

    func encodeNil() { append(.null) }
    func encode(_ value: Bool) { append(.bool(value)) }
    func encode(_ value: String) { append(.string(value)) }
    func encode(_ value: Double) { append(.double(value)) }
    func encode(_ value: Float) { append(.double(Double(value))) }
    func encode(_ value: Int) { append(.int64(Int64(value))) }
    func encode(_ value: Int8) { append(.int64(Int64(value))) }
    func encode(_ value: Int16) { append(.int64(Int64(value))) }
    func encode(_ value: Int32) { append(.int32(value)) }
    func encode(_ value: Int64) { append(.int64(value)) }
    func encode(_ value: UInt) throws { append(try int64(value, at: nextPath)) }
    func encode(_ value: UInt8) { append(.int64(Int64(value))) }
    func encode(_ value: UInt16) { append(.int64(Int64(value))) }
    func encode(_ value: UInt32) { append(.int64(Int64(value))) }
    func encode(_ value: UInt64) throws { append(try int64(value, at: nextPath)) }
    func encode<T: Encodable>(_ value: T) throws { append(try ValueEncoder.encode(value, at: nextPath)) }

    func nestedContainer<Nested: CodingKey>(keyedBy keyType: Nested.Type) -> KeyedEncodingContainer<Nested> {
        let nested = DocumentBuilder()
        let path = nextPath
        builder.append(.document(nested))
        return KeyedEncodingContainer(KeyedWriter<Nested>(builder: nested, codingPath: path))
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
        let nested = ArrayBuilder()
        let path = nextPath
        builder.append(.array(nested))
        return UnkeyedWriter(builder: nested, codingPath: path)
    }

    func superEncoder() -> any Encoder {
        let encoder = ValueEncoder(codingPath: nextPath)
        builder.append(.encoder(encoder))
        return encoder
    }
}

private struct SingleWriter: SingleValueEncodingContainer {
    let encoder: ValueEncoder

    var codingPath: [any CodingKey] { encoder.codingPath }

    func encodeNil() { encoder.set(.null) }
    func encode(_ value: Bool) { encoder.set(.bool(value)) }
    func encode(_ value: String) { encoder.set(.string(value)) }
    func encode(_ value: Double) { encoder.set(.double(value)) }
    func encode(_ value: Float) { encoder.set(.double(Double(value))) }
    func encode(_ value: Int) { encoder.set(.int64(Int64(value))) }
    func encode(_ value: Int8) { encoder.set(.int64(Int64(value))) }
    func encode(_ value: Int16) { encoder.set(.int64(Int64(value))) }
    func encode(_ value: Int32) { encoder.set(.int32(value)) }
    func encode(_ value: Int64) { encoder.set(.int64(value)) }
    func encode(_ value: UInt) throws { encoder.set(try int64(value, at: codingPath)) }
    func encode(_ value: UInt8) { encoder.set(.int64(Int64(value))) }
    func encode(_ value: UInt16) { encoder.set(.int64(Int64(value))) }
    func encode(_ value: UInt32) { encoder.set(.int64(Int64(value))) }
    func encode(_ value: UInt64) throws { encoder.set(try int64(value, at: codingPath)) }
    func encode<T: Encodable>(_ value: T) throws { encoder.set(try ValueEncoder.encode(value, at: codingPath)) }
}
