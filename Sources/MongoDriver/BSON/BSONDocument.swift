/// Keys and values in their order, as MongoDB keeps them.
///
/// A key is found by its UTF-8 bytes. Documents from a server may repeat a key: look-ups find the first.
public struct BSONDocument: Sendable {
    var elements: [Element]

    public init() {
        elements = []
    }

    /// The pairs in their order; a repeated key is kept as it is.
    public init(_ pairs: some Sequence<(String, BSONValue)>) {
        elements = pairs.map { (key: $0.0, value: $0.1) }
    }

    init(elements: [Element]) {
        self.elements = elements
    }

    /// Parses one document, which must fill `bytes` exactly. Throws `.corruptBSON`, whatever the bytes are.
    public init(bytes: some Sequence<UInt8>) throws(MongoError) {
        let array = Array(bytes)
        do {
            self = try array.withUnsafeBytes { try BSONReader.document($0) }
        } catch let corruption as BSONCorruption {
            throw MongoError(corruption)
        } catch {
            throw MongoError(.corruptBSON, "\(error)")
        }
    }

    /// The document as BSON. Throws `.invalidArgument` for a key or regular expression that holds a NUL, for nesting
    /// deeper than 200 levels, and for more bytes than an Int32 can count.
    public func bytes() throws(MongoError) -> [UInt8] {
        var writer = BSONWriter()
        try writer.write(self)
        return writer.bytes
    }

    /// The value of the first element with this key. Setting replaces it in its place, or appends; nil removes it.
    public subscript(key: String) -> BSONValue? {
        get {
            index(of: key).map { elements[$0].value }
        }
        set {
            switch (index(of: key), newValue) {
            case (let index?, let value?): elements[index].value = value
            case (let index?, nil): elements.remove(at: index)
            case (nil, let value?): elements.append((key: key, value: value))
            case (nil, nil): break
            }
        }
    }

    /// The value reached by one key after another through documents, or, where a part is a number, through arrays.
    public subscript(path path: [String]) -> BSONValue? {
        var value = BSONValue.document(self)
        for part in path {
            switch value {
            case .document(let document):
                guard let next = document[part] else { return nil }
                value = next
            case .array(let array):
                guard let index = Int(part), array.indices.contains(index) else { return nil }
                value = array[index]
            default:
                return nil
            }
        }
        return value
    }

    /// Appends without looking whether the key is there already.
    public mutating func append(_ key: String, _ value: BSONValue) {
        elements.append((key: key, value: value))
    }

    /// Sets each of the other's elements.
    public mutating func merge(_ other: BSONDocument) {
        for (key, value) in other.elements {
            self[key] = value
        }
    }

    public var keys: [String] { elements.map(\.key) }
    public var values: [BSONValue] { elements.map(\.value) }
    public var count: Int { elements.count }
    public var isEmpty: Bool { elements.isEmpty }

    func index(of key: String) -> Int? {
        elements.firstIndex { $0.key.hasSameBytes(as: key) }
    }
}

extension BSONDocument: Sequence {
    public typealias Element = (key: String, value: BSONValue)

    public func makeIterator() -> IndexingIterator<[Element]> { elements.makeIterator() }
}

extension BSONDocument: Hashable {
    public static func == (left: BSONDocument, right: BSONDocument) -> Bool {
        left.elements.elementsEqual(right.elements) { $0.key.hasSameBytes(as: $1.key) && $0.value == $1.value }
    }

    public func hash(into hasher: inout Hasher) {
        for (key, value) in elements {
            hasher.combine(key)
            hasher.combine(value)
        }
    }
}

extension BSONDocument: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral elements: (String, BSONValue)...) {
        self.init(elements)
    }
}
