/// Why bytes are not BSON, and where.
struct BSONCorruption: Error {
    var offset: Int
    var reason: String
}

/// Parses BSON. Every read is checked against the bounds of the document it belongs to, and nesting is bounded, so that
/// no input can do worse than be refused.
struct BSONReader {
    /// As deep as documents may nest; MongoDB itself stops at 180.
    static let depthLimit = 200

    private let bytes: UnsafeRawBufferPointer
    private var position: Int
    /// Exclusive; the document's own end is at most here.
    private var end: Int
    private var depth = 0

    /// Parses one document that fills `bytes` exactly.
    static func document(_ bytes: UnsafeRawBufferPointer) throws(BSONCorruption) -> BSONDocument {
        var reader = BSONReader(bytes: bytes, position: 0, end: bytes.count)
        let document = try reader.readDocument()
        guard reader.position == bytes.count else {
            throw BSONCorruption(
                offset: reader.position, reason: "\(bytes.count - reader.position) bytes after the end")
        }
        return document
    }

    /// Parses documents that follow one another until `bytes` end.
    static func documents(_ bytes: UnsafeRawBufferPointer, count: Int) throws(BSONCorruption) -> [BSONDocument] {
        var reader = BSONReader(bytes: bytes, position: 0, end: bytes.count)
        var documents: [BSONDocument] = []
        documents.reserveCapacity(count)
        while reader.position < reader.end {
            documents.append(try reader.readDocument())
        }
        return documents
    }

    private init(bytes: UnsafeRawBufferPointer, position: Int, end: Int) {
        self.bytes = bytes
        self.position = position
        self.end = end
    }

    private mutating func readDocument() throws(BSONCorruption) -> BSONDocument {
        var elements: [BSONDocument.Element] = []
        try readElements { reader, type throws(BSONCorruption) in
            let key = try reader.readCString()
            elements.append((key: key, value: try reader.readValue(type)))
        }
        return BSONDocument(elements: elements)
    }

    private mutating func readArray() throws(BSONCorruption) -> [BSONValue] {
        var values: [BSONValue] = []
        try readElements { reader, type throws(BSONCorruption) in
            try reader.skipCString()
            values.append(try reader.readValue(type))
        }
        return values
    }

    /// Reads length, elements and the closing zero; `body` reads one element after its type byte.
    private mutating func readElements(
        _ body: (inout BSONReader, UInt8) throws(BSONCorruption) -> Void
    ) throws(BSONCorruption) {
        let start = position
        let length = Int(try readInt32())
        guard length >= 5, length <= end - start else {
            throw BSONCorruption(offset: start, reason: "document length \(length) does not fit")
        }
        guard depth < Self.depthLimit else {
            throw BSONCorruption(offset: start, reason: "nested deeper than \(Self.depthLimit) levels")
        }
        let outerEnd = end
        end = start + length
        depth += 1
        while true {
            let type = try readByte()
            if type == 0 { break }
            try body(&self, type)
        }
        guard position == end else {
            throw BSONCorruption(offset: position, reason: "document ends before its length")
        }
        end = outerEnd
        depth -= 1
    }

    private mutating func readValue(_ type: UInt8) throws(BSONCorruption) -> BSONValue {
        switch type {
        case 0x01: return .double(Double(bitPattern: try readInteger()))
        case 0x02: return .string(try readString())
        case 0x03: return .document(try readDocument())
        case 0x04: return .array(try readArray())
        case 0x05: return .binary(try readBinary())
        case 0x06: return .undefined
        case 0x07: return .objectID(try readObjectID())
        case 0x08: return .bool(try readBool())
        case 0x09: return .date(milliseconds: try readInteger())
        case 0x0A: return .null
        case 0x0B: return .regex(BSONRegex(try readCString(), options: try readCString()))
        case 0x0C: return .dbPointer(BSONDBPointer(namespace: try readString(), id: try readObjectID()))
        case 0x0D: return .code(try readString())
        case 0x0E: return .symbol(try readString())
        case 0x0F: return .codeWithScope(try readCodeWithScope())
        case 0x10: return .int32(try readInt32())
        case 0x11:
            let increment: UInt32 = try readInteger()
            return .timestamp(BSONTimestamp(seconds: try readInteger(), increment: increment))
        case 0x12: return .int64(try readInteger())
        case 0x13:
            let low: UInt64 = try readInteger()
            return .decimal128(BSONDecimal128(high: try readInteger(), low: low))
        case 0x7F: return .maxKey
        case 0xFF: return .minKey
        default: throw BSONCorruption(offset: position, reason: "unknown type 0x\(String(type, radix: 16))")
        }
    }

    // MARK: Pieces

    /// The range of the next `count` bytes, which are passed over.
    private mutating func take(_ count: Int) throws(BSONCorruption) -> Range<Int> {
        guard count >= 0, count <= end - position else {
            throw BSONCorruption(offset: position, reason: "\(count) bytes wanted, \(end - position) left")
        }
        defer { position += count }
        return position..<(position + count)
    }

    private mutating func readByte() throws(BSONCorruption) -> UInt8 {
        bytes[try take(1).lowerBound]
    }

    private mutating func readInteger<T: FixedWidthInteger>() throws(BSONCorruption) -> T {
        let range = try take(T.bitWidth / 8)
        return T(littleEndian: bytes.loadUnaligned(fromByteOffset: range.lowerBound, as: T.self))
    }

    private mutating func readInt32() throws(BSONCorruption) -> Int32 {
        try readInteger()
    }

    private mutating func readBool() throws(BSONCorruption) -> Bool {
        let byte = try readByte()
        guard byte <= 1 else { throw BSONCorruption(offset: position - 1, reason: "a boolean is \(byte)") }
        return byte == 1
    }

    private mutating func readObjectID() throws(BSONCorruption) -> ObjectID {
        let range = try take(12)
        guard let id = ObjectID(bytes: bytes[range]) else {
            throw BSONCorruption(offset: range.lowerBound, reason: "not an ObjectId")
        }
        return id
    }

    private mutating func readBinary() throws(BSONCorruption) -> BSONBinary {
        let length = Int(try readInt32())
        let subtype = try readByte()
        guard subtype == 2 else { return BSONBinary(Array(bytes[try take(length)]), subtype: subtype) }
        // The old binary subtype repeats its length inside.
        let inner = Int(try readInt32())
        guard inner == length - 4 else {
            throw BSONCorruption(offset: position, reason: "binary length \(length) holds length \(inner)")
        }
        return BSONBinary(Array(bytes[try take(inner)]), subtype: 2)
    }

    private mutating func readCodeWithScope() throws(BSONCorruption) -> BSONCodeWithScope {
        let start = position
        let length = Int(try readInt32())
        let code = try readString()
        let scope = try readDocument()
        guard position - start == length else {
            throw BSONCorruption(offset: start, reason: "code with scope does not fill its length \(length)")
        }
        return BSONCodeWithScope(code, scope: scope)
    }

    private mutating func readString() throws(BSONCorruption) -> String {
        let length = Int(try readInt32())
        guard length >= 1 else { throw BSONCorruption(offset: position - 4, reason: "string length \(length)") }
        let range = try take(length)
        guard bytes[range.upperBound - 1] == 0 else {
            throw BSONCorruption(offset: range.upperBound - 1, reason: "string without a closing zero")
        }
        return try text(range.dropLast())
    }

    private mutating func readCString() throws(BSONCorruption) -> String {
        let range = try takeCString()
        return try text(range)
    }

    private mutating func skipCString() throws(BSONCorruption) {
        _ = try takeCString()
    }

    private mutating func takeCString() throws(BSONCorruption) -> Range<Int> {
        let start = position
        var index = position
        while index < end {
            if bytes[index] == 0 {
                position = index + 1
                return start..<index
            }
            index += 1
        }
        throw BSONCorruption(offset: start, reason: "name without a closing zero")
    }

    private func text(_ range: Range<Int>) throws(BSONCorruption) -> String {
        let part = UnsafeRawBufferPointer(rebasing: bytes[range]).assumingMemoryBound(to: UInt8.self)
        guard let text = String(validating: part, as: UTF8.self) else {
            throw BSONCorruption(offset: range.lowerBound, reason: "text is not UTF-8")
        }
        return text
    }
}
