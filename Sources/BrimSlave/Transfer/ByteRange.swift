/// The `Range` of a request (RFC 9110, section 14), for one range of bytes.
enum ByteRange: Equatable {
    /// No range, one in another unit, several, or one that is malformed: the whole is sent.
    case whole
    /// Never empty.
    case part(Range<Int64>)
    /// Nothing of it lies within: 416.
    case unsatisfiable

    init(_ header: String?, size: Int64) {
        guard let text = header?.filter({ $0 != " " && $0 != "\t" }), text.lowercased().hasPrefix("bytes=") else {
            self = .whole
            return
        }
        let ends = text.dropFirst(6).split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Self.number(ends[0]), let last = Self.number(ends[1]) else {
            self = .whole
            return
        }
        switch (first, last) {
        case (nil, nil): self = .whole
        case (nil, let suffix?): self = suffix == 0 || size == 0 ? .unsatisfiable : .part(max(0, size - suffix)..<size)
        case (let start?, nil): self = start < size ? .part(start..<size) : .unsatisfiable
        case (let start?, let end?) where end < start: self = .whole
        case (let start?, let end?): self = start < size ? .part(start..<min(size, end + 1)) : .unsatisfiable
        }
    }

    /// `.some(nil)` for nothing, nil for what is not a number. Numbers beyond any file are as good as the largest.
    private static func number(_ text: Substring) -> Int64?? {
        guard !text.isEmpty else { return .some(nil) }
        guard text.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return .some(Int64(text) ?? Int64.max - 1)
    }
}

/// The entity tags of an `If-None-Match` or `If-Range` (RFC 9110, section 8.8.3).
enum EntityTags {
    /// Whether a list of tags, or `*`, names this one; weak ones compare too.
    static func list(_ header: String, contains tag: String) -> Bool {
        header.split(separator: ",").contains { item in
            let item = item.trimmingPrefix { $0 == " " }.prefix { $0 != " " }
            return item == "*" || item == tag || (item.hasPrefix("W/") && item.dropFirst(2) == tag)
        }
    }
}
