import BrimModel

/// Gathers small files into batches, so that one request to a master gets leave for many; a large file is a batch of
/// its own.
struct TransferBatcher<Item> {
    /// Files beyond this many bytes go alone.
    static var largeFileBytes: Int64 { 8 << 20 }
    /// Files in one batch, at most.
    static var batchFiles: Int { 64 }

    private let files: Int
    private var items: [Item] = []
    private var bytes: Int64 = 0

    /// `total` files are expected, to be spread over `lanes`: with few of them the batches are small.
    init(total: Int64, lanes: Int) {
        files = max(1, min(Self.batchFiles, Int(total) / (lanes * 4)))
    }

    /// Adds a file; gives the batches that are full.
    mutating func add(_ item: Item, bytes size: Int64) -> [[Item]] {
        if size > Self.largeFileBytes { return [[item]] }
        items.append(item)
        bytes += size
        return items.count >= files || bytes > Self.largeFileBytes ? flush() : []
    }

    /// What is left.
    mutating func flush() -> [[Item]] {
        defer { (items, bytes) = ([], 0) }
        return items.isEmpty ? [] : [items]
    }
}

/// Runs pieces of work in a task group, a few at once; further ones wait.
struct Lanes {
    let limit: Int
    private var running = 0

    init(_ limit: Int) { self.limit = max(1, limit) }

    mutating func run(
        in group: inout ThrowingTaskGroup<Void, any Error>, _ work: @escaping @Sendable () async throws -> Void
    ) async throws {
        if running == limit {
            try await group.next()
            running -= 1
        }
        group.addTask(operation: work)
        running += 1
    }

    /// Waits for all that is running.
    mutating func drain(_ group: inout ThrowingTaskGroup<Void, any Error>) async throws {
        while running > 0 {
            try await group.next()
            running -= 1
        }
    }
}
