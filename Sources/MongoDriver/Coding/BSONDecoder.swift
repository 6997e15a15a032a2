/// Makes `Decodable` values from BSON; the counterpart of ``BSONEncoder``.
///
/// A missing key and a null both decode as nil. A number decodes from any BSON number whose value fits exactly; an
/// integer from a double only if that is integral. Errors are `DecodingError`s with the path.
public struct BSONDecoder: Sendable {
    public init() {}

    public func decode<T: Decodable>(_ type: T.Type, from document: BSONDocument) throws -> T {
        try decodeValue(type, from: .document(document))
    }

    public func decodeValue<T: Decodable>(_ type: T.Type, from value: BSONValue) throws -> T {
        try ValueDecoder(value: value, path: nil).decode(type)
    }
}

/// The way to a value, as a list from the inside out: nothing is allocated for it that an error does not need.
private final class Path {
    let key: any CodingKey
    let parent: Path?

    init(_ key: any CodingKey, in parent: Path?) {
        self.key = key
        self.parent = parent
    }

    static func keys(_ path: Path?) -> [any CodingKey] {
        var keys: [any CodingKey] = []
        var next = path
        while let step = next {
            keys.append(step.key)
            next = step.parent
        }
        return keys.reversed()
    }
}

private struct ValueDecoder: Decoder, SingleValueDecodingContainer {
    let value: BSONValue
    let path: Path?

    var codingPath: [any CodingKey] { Path.keys(path) }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .document(let document) = value else { throw mismatch(type, "a document") }
        return KeyedDecodingContainer(KeyedReader<Key>(document: document, path: path))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let values) = value else { throw mismatch([Any].self, "an array") }
        return UnkeyedReader(values: values, path: path)
    }

    func singleValueContainer() throws -> any SingleValueDecodingContainer { self }

    func mismatch(_ type: Any.Type, _ wanted: String) -> DecodingError {
        let context = DecodingError.Context(
            codingPath: codingPath, debugDescription: "\(wanted) is needed, found a value of type \(value.typeName)")
        return value.isNull ? .valueNotFound(type, context) : .typeMismatch(type, context)
    }

    func decodeNil() -> Bool { value.isNull }

    func decode(_ type: Bool.Type) throws -> Bool {
        guard case .bool(let result) = value else { throw mismatch(type, "a boolean") }
        return result
    }

    func decode(_ type: String.Type) throws -> String {
        switch value {
        case .string(let result), .symbol(let result): return result
        // So that types which code themselves as hexadecimal digits elsewhere can be read.
        case .objectID(let id): return id.hex
        default: throw mismatch(type, "a string")
        }
    }

    func decode(_ type: Double.Type) throws -> Double {
        guard let result = value.doubleValue else { throw mismatch(type, "a number") }
        return result
    }

    func decode(_ type: Float.Type) throws -> Float { Float(try decode(Double.self)) }

    private func integer<T: FixedWidthInteger>(_ type: T.Type) throws -> T {
        guard let number = value.int64Value else { throw mismatch(type, "an integer") }
        guard let result = T(exactly: number) else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: codingPath, debugDescription: "\(number) does not fit into \(type)"))
        }
        return result
    }

    func decode(_ type: Int.Type) throws -> Int { try integer(type) }
    func decode(_ type: Int8.Type) throws -> Int8 { try integer(type) }
    func decode(_ type: Int16.Type) throws -> Int16 { try integer(type) }
    func decode(_ type: Int32.Type) throws -> Int32 { try integer(type) }
    func decode(_ type: Int64.Type) throws -> Int64 { try integer(type) }
    func decode(_ type: UInt.Type) throws -> UInt { try integer(type) }
    func decode(_ type: UInt8.Type) throws -> UInt8 { try integer(type) }
    func decode(_ type: UInt16.Type) throws -> UInt16 { try integer(type) }
    func decode(_ type: UInt32.Type) throws -> UInt32 { try integer(type) }
    func decode(_ type: UInt64.Type) throws -> UInt64 { try integer(type) }

    func decode<T: Decodable>(_ type: T.Type) throws -> T {
        guard let representable = type as? any BSONRepresentable.Type else { return try T(from: self) }
        guard let result = representable.init(bsonValue: value) as? T else { throw mismatch(type, "\(type)") }
        return result
    }
}

/// A class, because it remembers where the last key was found: keys are mostly asked for in their order.
private final class KeyedReader<Key: CodingKey>: KeyedDecodingContainerProtocol {
    private let elements: [BSONDocument.Element]
    private let path: Path?
    private var next = 0

    init(document: BSONDocument, path: Path?) {
        elements = document.elements
        self.path = path
    }

    var codingPath: [any CodingKey] { Path.keys(path) }
    var allKeys: [Key] { elements.compactMap { Key(stringValue: $0.key) } }

    private func find(_ key: String) -> BSONValue? {
        for step in elements.indices {
            let index = (next + step) % elements.count
            if elements[index].key.hasSameBytes(as: key) {
                next = index
                return elements[index].value
            }
        }
        return nil
    }

    private func decoder(_ key: any CodingKey) throws -> ValueDecoder {
        guard let value = find(key.stringValue) else {
            throw DecodingError.keyNotFound(
                key, .init(codingPath: codingPath, debugDescription: "no key \"\(key.stringValue)\""))
        }
        return ValueDecoder(value: value, path: Path(key, in: path))
    }

    func contains(_ key: Key) -> Bool { find(key.stringValue) != nil }
    func decodeNil(forKey key: Key) throws -> Bool { try decoder(key).decodeNil() }
    func decode(_ type: Bool.Type, forKey key: Key) throws -> Bool { try decoder(key).decode(type) }
    func decode(_ type: String.Type, forKey key: Key) throws -> String { try decoder(key).decode(type) }
    func decode(_ type: Double.Type, forKey key: Key) throws -> Double { try decoder(key).decode(type) }
    func decode(_ type: Float.Type, forKey key: Key) throws -> Float { try decoder(key).decode(type) }
    func decode(_ type: Int.Type, forKey key: Key) throws -> Int { try decoder(key).decode(type) }
    func decode(_ type: Int8.Type, forKey key: Key) throws -> Int8 { try decoder(key).decode(type) }
    func decode(_ type: Int16.Type, forKey key: Key) throws -> Int16 { try decoder(key).decode(type) }
    func decode(_ type: Int32.Type, forKey key: Key) throws -> Int32 { try decoder(key).decode(type) }
    func decode(_ type: Int64.Type, forKey key: Key) throws -> Int64 { try decoder(key).decode(type) }
    func decode(_ type: UInt.Type, forKey key: Key) throws -> UInt { try decoder(key).decode(type) }
    func decode(_ type: UInt8.Type, forKey key: Key) throws -> UInt8 { try decoder(key).decode(type) }
    func decode(_ type: UInt16.Type, forKey key: Key) throws -> UInt16 { try decoder(key).decode(type) }
    func decode(_ type: UInt32.Type, forKey key: Key) throws -> UInt32 { try decoder(key).decode(type) }
    func decode(_ type: UInt64.Type, forKey key: Key) throws -> UInt64 { try decoder(key).decode(type) }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try decoder(key).decode(type) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) throws -> KeyedDecodingContainer<Nested> {
        try decoder(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        try decoder(key).unkeyedContainer()
    }

    func superDecoder() throws -> any Decoder { try decoder(BSONKey.super) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try decoder(key) }
}

private struct UnkeyedReader: UnkeyedDecodingContainer {
    let values: [BSONValue]
    let path: Path?
    private(set) var currentIndex = 0

    init(values: [BSONValue], path: Path?) {
        self.values = values
        self.path = path
    }

    var codingPath: [any CodingKey] { Path.keys(path) }
    var count: Int? { values.count }
    var isAtEnd: Bool { currentIndex >= values.count }

    private func decoder(for type: Any.Type) throws -> ValueDecoder {
        let step = Path(BSONKey(intValue: currentIndex), in: path)
        guard !isAtEnd else {
            throw DecodingError.valueNotFound(
                type, .init(codingPath: Path.keys(step), debugDescription: "the array has \(values.count) elements"))
        }
        return ValueDecoder(value: values[currentIndex], path: step)
    }

    mutating func decodeNil() throws -> Bool {
        guard try decoder(for: Never.self).decodeNil() else { return false }
        currentIndex += 1
        return true
    }

    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T {
        let result = try decoder(for: type).decode(type)
        currentIndex += 1
        return result
    }

    mutating func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) throws -> KeyedDecodingContainer<Nested> {
        let result = try decoder(for: type).container(keyedBy: type)
        currentIndex += 1
        return result
    }

    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer {
        let result = try decoder(for: [Any].self).unkeyedContainer()
        currentIndex += 1
        return result
    }

    mutating func superDecoder() throws -> any Decoder {
        let result = try decoder(for: (any Decoder).self)
        currentIndex += 1
        return result
    }
}
