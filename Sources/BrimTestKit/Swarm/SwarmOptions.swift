import BrimModel

/// How a swarm under test is set up.
public struct SwarmOptions: Sendable {
    public enum Database: Sendable {
        /// A database of its own in the mongod that all tests of this process share.
        case shared
        /// The master starts and supervises its own mongod.
        case ownMongod
        /// A database in a mongod or replica set that the test started, to freeze, kill and restart it.
        case at(any TestDatabase)
    }

    public var database = Database.shared
    /// How slowly silence is judged. The usual values never take a busy machine's hiccup for a lost server.
    public var heartbeat = Duration.milliseconds(200)
    public var suspectAfter = Duration.seconds(5)
    public var downAfter = Duration.seconds(10)
    /// More flags of the master.
    public var masterFlags: [String]
    /// Where daemons run, by name; loopback for those that are not named.
    public var hosts: [String: TestHost] = [:]

    public init(_ masterFlags: [String] = []) { self.masterFlags = masterFlags }

    /// Servers are suspect after 1.5 s and down after 4 s.
    public static func watchful(_ masterFlags: [String] = []) -> SwarmOptions {
        var options = SwarmOptions(masterFlags)
        options.suspectAfter = .milliseconds(1500)
        options.downAfter = .seconds(4)
        return options
    }

    var timingFlags: [String] {
        [
            "--heartbeat", DurationText.format(heartbeat), "--suspect-after", DurationText.format(suspectAfter),
            "--down-after", DurationText.format(downAfter),
        ]
    }
}
