import MongoDriver

/// How soon the members of a replica set that is BrimFS's own take one of them for gone, so that writes go on within 15
/// seconds after a primary has fallen silent with its connections open; with MongoDB's own times that takes up to 30.
///
/// An election takes up to two of its times then, as the candidate waits for the answer of the former primary. One that was
/// not needed costs a second or two in which nothing is written.
public enum ReplicaSetTimes {
    /// The field `settings` of the set's configuration. Commit points, too, travel with heartbeats while a secondary still
    /// waits for its former source.
    public static let settings: BSONDocument = [
        "electionTimeoutMillis": .int64(4000), "heartbeatIntervalMillis": .int64(500),
        "heartbeatTimeoutSecs": .int64(4),
    ]

    /// Arguments of each mongod: how long, beyond the pause between two of its answers, a secondary waits for its source.
    public static let arguments = ["--setParameter", "oplogNetworkTimeoutBufferSeconds=2"]
}
