import BrimModel
import Logging
import MongoDriver

// MongoDB keeps a transaction whose client has died until it is a minute old or more, with all that it has written locked:
// and as every commit of a file also counts on its servers' documents, everybody would wait for it.
extension MongoMetadataStore {
    /// Shown by MongoDB as what holds a connection; tells transactions of this database's masters from others.
    static func applicationName(_ database: String) -> String { "brim:\(database)" }

    public func endStalledTransactions(after idle: Duration) async throws -> Int {
        try await translatingErrors("ending transactions that stand still") {
            let admin = client.database("admin")
            // The idle ones of all masters, as far as this MongoDB user may know of them: at least its own.
            let sessions = try await admin.aggregate(
                [
                    ["$currentOp": ["idleSessions": true]],
                    [
                        "$match": [
                            "type": "idleSession", "appName": .string(client.options.applicationName),
                            "transaction.timeInactiveMicros": ["$gte": .int64(idle.wholeMilliseconds * 1000)],
                        ]
                    ],
                    ["$project": ["lsid.id": 1, "client": 1]],
                ], AggregateOptions(maxTime: Self.timeLimit)
            ).toArray()
            guard !sessions.isEmpty else { return 0 }
            _ = try await admin.runCommand(["killSessions": .array(sessions.compactMap { $0["lsid"] })])
            for session in sessions {
                logger.warning(
                    "a transaction that stood still was ended: its master died or hangs",
                    metadata: ["client": "\(session["client"]?.stringValue ?? "")"])
            }
            return sessions.count
        }
    }
}
