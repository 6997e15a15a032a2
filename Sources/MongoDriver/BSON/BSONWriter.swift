/// Writes BSON: appends to `bytes`, and sets each length when its end is known.
struct BSONWriter {
    private(set) var bytes: [UInt8] = []
    private var depth = 0

    mutating func write(_ document: BSONDocument) throws(MongoError) {
        let start = try open()
        for (key, value) in document.elements {
            bytes.append(Self.type(of: value))
            try writeCString(key)
            try writeValue(value)
        }
        try close(start)
    }

    /// An array is a document with the keys 0, 1, 2, …
    mutating func write(_ array: [BSONValue]) throws(MongoError) {
        let start = try open()
        for (index, value) in array.enumerated() {
            bytes.append(Self.type(of: value))
            bytes.append(contentsOf: String(index).utf8)
            bytes.append(0)
            try writeValue(value)
        }
        try close(start)
    }

    private mutating func open() throws(MongoError) -> Int {
        guard depth < BSONReader.depthLimit else {
            throw MongoError(.invalidArgument, "a document nests deeper than \(BSONReader.depthLimit) levels")
        }
        depth += 1
        writeInteger(Int32(0))
        return bytes.count - 4
    }

    private mutating func close(_ start: Int) throws(MongoError) {
        bytes.append(0)
        depth -= 1
        try setLength(at: start)
    }

    /// Stores the number of bytes from `start` to here at `start`.
    private mutating func setLength(at start: Int) throws(MongoError) {
        let length = try length(bytes.count - start)
        withUnsafeBytes(of: length.littleEndian) { bytes.replaceSubrange(start..<(start + 4), with: $0) }
    }

    private func length(_ count: Int) throws(MongoError) -> Int32 {
        guard let length = Int32(exactly: count) else {
            throw MongoError(.invalidArgument, "a document of \(count) bytes is too large for BSON")
        }
        return length
    }

    private mutating func writeValue(_ value: BSONValue) throws(MongoError) {
        switch value {
        case .double(let value): writeInteger(value.bitPattern)
        case .string(let value), .code(let value), .symbol(let value): try writeString(value)
        case .document(let value): try write(value)
        case .array(let value): try write(value)
        case .binary(let value): try writeBinary(value)
        case .objectID(let value): bytes.append(contentsOf: value.bytes)
        case .bool(let value): bytes.append(value ? 1 : 0)
        case .date(let milliseconds): writeInteger(milliseconds)
        case .regex(let value):
            try writeCString(value.pattern)
            try writeCString(value.options)
        case .dbPointer(let value):
            try writeString(value.namespace)
            bytes.append(contentsOf: value.id.bytes)
        case .codeWithScope(let value):
            let start = bytes.count
            writeInteger(Int32(0))
            try writeString(value.code)
            try write(value.scope)
            try setLength(at: start)
        case .int32(let value): writeInteger(value)
        case .timestamp(let value):
            writeInteger(value.increment)
            writeInteger(value.seconds)
        case .int64(let value): writeInteger(value)
        case .decimal128(let value):
            writeInteger(value.low)
            writeInteger(value.high)
        case .undefined, .null, .minKey, .maxKey: break
        }
    }

    private mutating func writeInteger<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func writeString(_ text: String) throws(MongoError) {
        writeInteger(try length(text.utf8.count + 1))
        bytes.append(contentsOf: text.utf8)
        bytes.append(0)
    }

    private mutating func writeCString(_ text: String) throws(MongoError) {
        guard !text.utf8.contains(0) else {
            throw MongoError(.invalidArgument, "a key or regular expression holds a NUL: \(text.debugDescription)")
        }
        bytes.append(contentsOf: text.utf8)
        bytes.append(0)
    }

    private mutating func writeBinary(_ binary: BSONBinary) throws(MongoError) {
        let count = try length(binary.bytes.count)
        if binary.subtype == 2 {
            writeInteger(try length(binary.bytes.count + 4))
            bytes.append(2)
            writeInteger(count)
        } else {
            writeInteger(count)
            bytes.append(binary.subtype)
        }
        bytes.append(contentsOf: binary.bytes)
    }

    private static func type(of value: BSONValue) -> UInt8 {
        switch value {
        case .double: 0x01
        case .string: 0x02
        case .document: 0x03
        case .array: 0x04
        case .binary: 0x05
        case .undefined: 0x06
        case .objectID: 0x07
        case .bool: 0x08
        case .date: 0x09
        case .null: 0x0A
        case .regex: 0x0B
        case .dbPointer: 0x0C
        case .code: 0x0D
        case .symbol: 0x0E
        case .codeWithScope: 0x0F
        case .int32: 0x10
        case .timestamp: 0x11
        case .int64: 0x12
        case .decimal128: 0x13
        case .maxKey: 0x7F
        case .minKey: 0xFF
        }
    }
}
