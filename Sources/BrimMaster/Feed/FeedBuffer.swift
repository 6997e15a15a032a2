import BrimMetadata

/// The latest changes, encoded once for all listeners: everything after `floor`, up to `head`.
struct FeedBuffer: Sendable {
    /// Bounds of what is kept; at either the oldest quarter goes.
    struct Limits: Sendable {
        var changes = 65_536
        var bytes = 32 << 20
    }

    struct Item: Sendable {
        /// After the change.
        var position: ChangePosition
        /// A `FeedChange`.
        var json: String
    }

    /// What a listener is given next.
    enum Next: Sendable {
        /// JSON array elements, and the position after them.
        case changes([String], ChangePosition)
        /// It has everything up to this position.
        case nothing(ChangePosition)
        /// What it wants is older than what is kept.
        case older
        /// It is where this master is not yet: another one gave it its position, or another database.
        case ahead
    }

    private(set) var floor: ChangePosition
    private(set) var head: ChangePosition
    private var items: [Item] = []
    private(set) var bytes = 0
    private let limits: Limits

    init(at position: ChangePosition, limits: Limits = Limits()) {
        floor = position
        head = position
        self.limits = limits
    }

    var count: Int { items.count }

    mutating func append(_ item: Item) {
        // A position that comes again would be told twice to those who wait for it.
        guard item.position > head else { return }
        items.append(item)
        bytes += item.json.utf8.count
        head = item.position
        while items.count > limits.changes || bytes > limits.bytes, !items.isEmpty { dropOldest() }
    }

    /// Nothing happened up to a position.
    mutating func advance(to position: ChangePosition) { head = max(head, position) }

    private mutating func dropOldest() {
        let dropped = items.prefix(max(1, items.count / 4))
        bytes -= dropped.reduce(0) { $0 + $1.json.utf8.count }
        floor = dropped.last?.position ?? floor
        items.removeFirst(dropped.count)
    }

    /// What follows `position`, at most `limit` changes and a few more bytes than `maxBytes`.
    func next(after position: ChangePosition, limit: Int, maxBytes: Int) -> Next {
        guard position >= floor else { return .older }
        guard position <= head else { return .ahead }
        var (low, high) = (0, items.count)
        while low < high {
            let middle = (low + high) / 2
            if items[middle].position > position { high = middle } else { low = middle + 1 }
        }
        var json: [String] = []
        var bytes = 0
        for item in items[low...].prefix(limit) where bytes < maxBytes {
            json.append(item.json)
            bytes += item.json.utf8.count
        }
        guard !json.isEmpty else { return .nothing(head.following(position)) }
        return .changes(json, items[low + json.count - 1].position)
    }
}
