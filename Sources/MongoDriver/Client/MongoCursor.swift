import Synchronization

/// The documents that a find or an aggregation gives, fetched batch by batch.
///
/// The first batch is there when the cursor is. If it was all, the client is back in the pool already. Else the cursor
/// holds one client and its thread until it is exhausted, closed or let go: a pool of 16 has room for 16 such cursors,
/// and with all of them open any other operation waits, and fails after the wait queue's time. So do not keep a cursor
/// open across slow work, and do not nest cursors on a small pool.
///
/// To be used by one task at a time.
public final class MongoCursor<Element: Sendable>: AsyncSequence, Sendable {
    private enum State {
        /// A batch waits to be taken; a lease if there is more. Followed by open, done.
        case fetched([BSONDocument], Lease?)
        /// Followed by fetching, done.
        case open(Lease)
        /// Followed by open, fetched, done.
        case fetching
        case done
    }

    /// Keeps the pool alive.
    private let client: MongoClient
    private let limits: BatchLimits
    private let transform: @Sendable (BSONDocument) throws -> Element
    private let state: Mutex<State>

    init(
        client: MongoClient, limits: BatchLimits, firstBatch: [BSONDocument], lease: Lease?,
        transform: @escaping @Sendable (BSONDocument) throws -> Element
    ) {
        self.client = client
        self.limits = limits
        self.transform = transform
        state = Mutex(.fetched(firstBatch, lease))
    }

    deinit {
        endNow()
    }

    /// The next documents; nil at the end, never empty. An element that cannot be decoded ends the cursor.
    public func nextBatch() async throws -> [Element]? {
        let documents = try await nextDocuments()
        guard !documents.isEmpty else { return nil }
        do {
            return try documents.map(transform)
        } catch {
            endNow()
            throw error
        }
    }

    /// All that is left, in one array: for results known to be small.
    public func toArray() async throws -> [Element] {
        var elements: [Element] = []
        while let batch = try await nextBatch() {
            elements += batch
        }
        return elements
    }

    /// Gives the client back; documents not taken yet are dropped. Harmless at any time.
    public func close() async {
        endNow()
    }

    private func endNow() {
        let lease = state.withLock { state -> Lease? in
            defer { state = .done }
            return switch state {
            case .fetched(_, let lease): lease
            case .open(let lease): lease
            case .fetching, .done: nil
            }
        }
        lease?.release()
    }

    /// Empty at the end.
    private func nextDocuments() async throws -> [BSONDocument] {
        let step = state.withLock { state -> CursorStep in
            switch state {
            case .fetched(let batch, let lease):
                state = lease.map { .open($0) } ?? .done
                if let lease, batch.isEmpty {
                    state = .fetching
                    return .fetch(lease)
                }
                return .give(batch)
            case .open(let lease):
                state = .fetching
                return .fetch(lease)
            case .fetching: return .refuse
            case .done: return .give([])
            }
        }
        switch step {
        case .give(let batch): return batch
        case .refuse: throw MongoError(.invalidArgument, "a cursor is used by two tasks at a time")
        case .fetch(let lease): return try await fetch(lease)
        }
    }

    private func fetch(_ lease: Lease) async throws -> [BSONDocument] {
        do {
            let limits = limits
            let (batch, next) = try await lease.run { try $0.nextBatch(limits) }
            let unwanted = state.withLock { state -> Lease? in
                // Closed in the meantime.
                guard case .fetching = state else { return next }
                state = next.map { .open($0) } ?? .done
                return nil
            }
            unwanted?.release()
            return batch
        } catch {
            state.withLock { $0 = .done }
            throw error
        }
    }

    public struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate let cursor: MongoCursor
        private var batch: [Element] = []
        private var position = 0

        fileprivate init(_ cursor: MongoCursor) {
            self.cursor = cursor
        }

        public mutating func next() async throws -> Element? {
            if position == batch.count {
                guard let next = try await cursor.nextBatch() else { return nil }
                batch = next
                position = 0
            }
            defer { position += 1 }
            return batch[position]
        }
    }

    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(self) }
}

/// What a call for the next batch has to do.
private enum CursorStep {
    case give([BSONDocument])
    case fetch(Lease)
    case refuse
}
