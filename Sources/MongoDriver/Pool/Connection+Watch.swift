import CMongo

extension Connection {
    /// Gives the events of a change stream to `take`, on this thread, until it says that it has enough.
    ///
    /// By commands, since libmongoc's own streams go on by themselves after an error, also at a server that has another
    /// history than the one before: who follows must be told.
    func watch(
        _ target: Target, pipeline: [BSONDocument], options: WatchOptions, _ take: (ChangeStreamStep) -> Bool
    ) throws(MongoError) {
        // A cursor belongs to the session in which it was opened.
        try beginSession()
        defer { endSession() }
        let stages: [BSONDocument] = [["$changeStream": .document(options.stage)]] + pipeline
        var batch = try ChangeBatch(
            try command(
                [
                    "aggregate": .string(target.collection), "pipeline": .documents(stages),
                    "cursor": ["batchSize": .int(options.batch)], "readConcern": ["level": "majority"],
                ], on: target.database, kind: CMONGO_COMMAND_PLAIN))
        defer { kill(batch.cursor, of: target) }
        // The first batch is what is there at once; that it is empty says little.
        for event in batch.events {
            guard take(.event(event)) else { return }
        }
        while true {
            guard batch.cursor != 0 else { throw MongoError(.cursorLost, "the server has ended the stream") }
            batch = try ChangeBatch(
                try command(
                    [
                        "getMore": .int64(batch.cursor), "collection": .string(target.collection),
                        "batchSize": .int(options.batch), "maxTimeMS": .int64(max(1, options.maxAwait.milliseconds)),
                    ], on: target.database, kind: CMONGO_COMMAND_PLAIN))
            for event in batch.events {
                guard take(.event(event)) else { return }
            }
            if batch.events.isEmpty, !take(.quiet(token: batch.token)) { return }
        }
    }

    /// Best effort: the server ends by itself what nobody asks for any more.
    private func kill(_ cursor: Int64, of target: Target) {
        guard cursor != 0 else { return }
        _ = try? command(
            ["killCursors": .string(target.collection), "cursors": [.int64(cursor)]], on: target.database,
            kind: CMONGO_COMMAND_PLAIN)
    }
}

/// What a command of a change stream answers.
private struct ChangeBatch {
    /// 0: the stream has ended.
    let cursor: Int64
    let events: [BSONDocument]
    /// Resumes after the events.
    let token: BSONDocument?

    init(_ reply: BSONDocument) throws(MongoError) {
        guard let answer = reply["cursor"]?.documentValue, let cursor = answer["id"]?.int64Value,
            let events = (answer["firstBatch"] ?? answer["nextBatch"])?.arrayValue
        else { throw MongoError(.command, "the server's answer has no cursor", reply: reply) }
        self.cursor = cursor
        self.events = events.compactMap(\.documentValue)
        token = answer["postBatchResumeToken"]?.documentValue
    }
}
