import CMongo

extension Connection {
    /// Gives the events of a change stream to `take`, on this thread, until it says that it has enough.
    func watch(
        _ target: Target, pipeline: [BSONDocument], options: BSONDocument, _ take: (ChangeStreamStep) -> Bool
    ) throws(MongoError) {
        let client = try takeClient()
        var packed = PackedDocuments()
        try packed.add(pipeline)
        try packed.add(options)
        var opened: OpaquePointer?
        _ = try reply { reply in
            opened = packed.withDocuments {
                cmongo_watch(client, target.database, target.collection, $0[0], $0[1], &reply)
            }
            return opened != nil
        }
        guard let stream = opened else { return }
        defer { cmongo_stream_free(stream) }
        while take(try step(of: stream)) {}
    }

    private func step(of stream: OpaquePointer) throws(MongoError) -> ChangeStreamStep {
        var bytes = cmongo_document()
        var outcome: Int32 = 0
        _ = try reply { reply in
            outcome = cmongo_stream_next(stream, &bytes, &reply)
            return outcome >= 0
        }
        guard outcome > 0 else { return .quiet(token: try Self.document(cmongo_stream_token(stream))) }
        return .event(try Self.document(bytes) ?? [:])
    }

    private static func document(_ bytes: cmongo_document) throws(MongoError) -> BSONDocument? {
        guard let start = bytes.bytes else { return nil }
        do {
            return try BSONReader.document(UnsafeRawBufferPointer(start: start, count: bytes.length))
        } catch {
            throw MongoError(error)
        }
    }
}
