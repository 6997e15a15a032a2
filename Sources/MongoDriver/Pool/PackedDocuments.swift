import CMongo

/// Documents written one after the other into one buffer, to be lent to C together.
struct PackedDocuments {
    private var bytes: [UInt8] = []
    private var ranges: [Range<Int>] = []

    /// Nil is passed to C as an empty document.
    mutating func add(_ document: BSONDocument?) throws(MongoError) {
        guard let document else { return ranges.append(0..<0) }
        add(try document.bytes())
    }

    /// A pipeline is a BSON array.
    mutating func add(_ pipeline: [BSONDocument]) throws(MongoError) {
        var writer = BSONWriter()
        try writer.write(pipeline.map { .document($0) })
        add(writer.bytes)
    }

    mutating func add(_ update: MongoUpdate) throws(MongoError) {
        switch update {
        case .document(let document): try add(document)
        case .pipeline(let stages): try add(stages)
        }
    }

    private mutating func add(_ document: [UInt8]) {
        ranges.append(bytes.count..<(bytes.count + document.count))
        bytes.append(contentsOf: document)
    }

    /// The documents in the order in which they were added, valid during the call.
    func withDocuments<T>(_ body: ([cmongo_document]) throws -> T) rethrows -> T {
        try bytes.withUnsafeBufferPointer { buffer in
            try body(
                ranges.map { range in
                    guard !range.isEmpty, let start = buffer.baseAddress else {
                        return cmongo_document(bytes: nil, length: 0)
                    }
                    return cmongo_document(bytes: start + range.lowerBound, length: range.count)
                })
        }
    }
}
