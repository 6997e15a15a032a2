import CMongo

/// One client of libmongoc, on the thread that it belongs to: the boundary to C.
///
/// Not `Sendable`: made on its thread, lent to jobs there, and ended there. Every pointer that it holds stays inside.
final class Connection {
    /// Which slot of the pool this is.
    let slot: Int
    private let pool: PoolHandle
    private var client: OpaquePointer?
    private var session: OpaquePointer?
    private var cursor: OpaquePointer?

    init(pool: PoolHandle, slot: Int) {
        self.pool = pool
        self.slot = slot
    }

    /// Ends what is open and gives the client back; the connection can be used again afterwards.
    func close() {
        closeCursor()
        endSession()
        if let client { cmongo_pool_give(pool.pointer, client) }
        client = nil
    }

    private func takeClient() throws(MongoError) -> OpaquePointer {
        if let client { return client }
        guard let taken = cmongo_pool_take(pool.pointer) else {
            throw MongoError(.overloaded, "libmongoc's pool has no client left")
        }
        client = taken
        return taken
    }

    /// Runs `body`, which fills the reply and says whether it succeeded; gives the reply's document (empty if none).
    private func reply(
        partialResult: (BSONDocument) -> BulkWriteResult? = { _ in nil },
        _ body: (inout cmongo_reply) -> Bool
    ) throws(MongoError) -> BSONDocument {
        var reply = cmongo_reply()
        defer { cmongo_reply_clear(&reply) }
        let succeeded = body(&reply)
        let document = try Self.document(of: reply)
        guard succeeded else {
            throw Self.error(reply, document, document.flatMap(partialResult))
        }
        return document ?? [:]
    }

    private static func document(of reply: cmongo_reply) throws(MongoError) -> BSONDocument? {
        guard let bytes = reply.document, reply.length > 5 else { return nil }
        do {
            return try BSONReader.document(UnsafeRawBufferPointer(start: bytes, count: Int(reply.length)))
        } catch {
            throw MongoError(error)
        }
    }

    private static func error(
        _ reply: cmongo_reply, _ document: BSONDocument?, _ partialResult: BulkWriteResult? = nil
    ) -> MongoError {
        let message = withUnsafePointer(to: reply) { String(cString: cmongo_reply_message($0)) }
        return MongoError(
            domain: reply.domain, code: reply.code, message: message, reply: document, partialResult: partialResult)
    }

    // MARK: Commands and writes

    func command(
        _ command: BSONDocument, on database: String, kind: cmongo_command_kind, options: BSONDocument = [:]
    ) throws(MongoError) -> BSONDocument {
        let client = try takeClient()
        var packed = PackedDocuments()
        try packed.add(command)
        try packed.add(options)
        return try reply { reply in
            packed.withDocuments { documents in
                cmongo_command(client, session, database, kind, documents[0], documents[1], &reply)
            }
        }
    }

    /// One write of a bulk, ready to be sent.
    struct Write {
        var kind: cmongo_write_kind
        var target: BSONDocument
        var change: MongoUpdate?
        var options: BSONDocument
    }

    /// The reply with its counts; a failure has them as `partialResult`.
    func bulkWrite(
        _ writes: [Write], to target: Target, options: BSONDocument
    ) throws(MongoError) -> BulkWriteResult {
        let client = try takeClient()
        var packed = PackedDocuments()
        try packed.add(options)
        for write in writes {
            try packed.add(write.target)
            if let change = write.change { try packed.add(change) } else { try packed.add(nil) }
            try packed.add(write.options)
        }
        let document = try reply(partialResult: BulkWriteResult.init) { reply in
            packed.withDocuments { documents in
                let list = writes.enumerated().map { index, write in
                    cmongo_write(
                        kind: write.kind, target: documents[index * 3 + 1], change: documents[index * 3 + 2],
                        options: documents[index * 3 + 3])
                }
                return cmongo_bulk_write(
                    client, session, target.database, target.collection, documents[0], list, list.count, &reply)
            }
        }
        return BulkWriteResult(document)
    }

    func findAndModify(_ operation: FindAndModifyOperation, options: BSONDocument) throws(MongoError) -> BSONDocument {
        let client = try takeClient()
        var packed = PackedDocuments()
        try packed.add(operation.filter)
        if let update = operation.update { try packed.add(update) } else { try packed.add(nil) }
        try packed.add(operation.sort)
        try packed.add(operation.projection)
        try packed.add(options)
        return try reply { reply in
            packed.withDocuments { documents in
                var request = cmongo_find_and_modify_request(
                    remove: operation.update == nil, upsert: operation.upsert, return_new: operation.returnNew,
                    filter: documents[0], update: documents[1], sort: documents[2], projection: documents[3],
                    options: documents[4])
                return cmongo_find_and_modify(
                    client, session, operation.target.database, operation.target.collection, &request, &reply)
            }
        }
    }

    // MARK: Cursors

    /// Whether a cursor waits for `nextBatch`.
    var hasOpenCursor: Bool { cursor != nil }

    /// The first batch of a new cursor, which stays open unless this was all. One cursor at a time.
    func open(_ source: CursorSource, _ limits: BatchLimits) throws(MongoError) -> [BSONDocument] {
        closeCursor()
        let client = try takeClient()
        var opened: OpaquePointer?
        _ = try reply { reply in
            opened = source.open(client: client, session: session, reply: &reply)
            return opened != nil
        }
        cursor = opened
        return try nextBatch(limits)
    }

    /// Empty only at the end, when the cursor has been closed.
    func nextBatch(_ limits: BatchLimits) throws(MongoError) -> [BSONDocument] {
        guard let cursor else { return [] }
        var batch = cmongo_batch()
        defer { cmongo_batch_clear(&batch) }
        do throws(MongoError) {
            _ = try reply { reply in
                cmongo_cursor_fill(cursor, limits.count, limits.bytes, &batch, &reply)
            }
            let documents = try Self.documents(of: batch)
            if batch.exhausted { closeCursor() }
            return documents
        } catch {
            closeCursor()
            throw error
        }
    }

    private static func documents(of batch: cmongo_batch) throws(MongoError) -> [BSONDocument] {
        do {
            return try BSONReader.documents(
                UnsafeRawBufferPointer(start: batch.bytes, count: batch.length), count: batch.count)
        } catch {
            throw MongoError(error)
        }
    }

    func closeCursor() {
        if let cursor { cmongo_cursor_free(cursor) }
        cursor = nil
    }

    // MARK: Transactions

    var isInTransaction: Bool { session != nil }

    /// Begins a session: until `endSession` all that this connection does belongs to it.
    func beginSession() throws(MongoError) {
        guard session == nil else { return }
        let client = try takeClient()
        var started: OpaquePointer?
        _ = try reply { reply in
            started = cmongo_session_start(client, &reply)
            return started != nil
        }
        session = started
    }

    /// Begins a transaction, in a session.
    func beginTransaction(_ options: MongoTransactionOptions) throws(MongoError) {
        try beginSession()
        guard let session else { return }
        _ = try reply { reply in
            options.readConcern.rawValue.withCString { level in
                var native = cmongo_transaction_options(
                    read_concern: level, w: options.writeConcern.nodeCount ?? -1, journal: options.writeConcern.journal,
                    write_timeout_ms: options.writeConcern.timeout?.milliseconds ?? 0,
                    max_commit_time_ms: options.maxCommitTime?.milliseconds ?? 0)
                return cmongo_transaction_start(session, &native, &reply)
            }
        }
    }

    func commitTransaction() throws(MongoError) {
        guard let session else { return }
        _ = try reply { cmongo_transaction_commit(session, &$0) }
    }

    /// Best effort: the server aborts by itself what it hears nothing of.
    func abortTransaction() {
        guard let session else { return }
        _ = try? reply { cmongo_transaction_abort(session, &$0) }
    }

    func endSession() {
        if let session { cmongo_session_end(session) }
        session = nil
    }
}

/// When a batch is full: at either bound.
struct BatchLimits: Sendable {
    var count = 1000
    var bytes = 4 << 20
}
