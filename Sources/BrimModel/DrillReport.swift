/// What a rebuild drill came to: whether a sample of the metadata could have been rebuilt from what the slaves know.
public struct DrillReport: Sendable, Codable, Hashable {
    /// In what MongoDB and slaves differ.
    public enum Kind: String, Sendable, Codable, CaseIterable {
        /// Slaves do not know an entry.
        case missing
        /// Slaves know an entry, or a blob of one, that MongoDB does not know.
        case unknown
        /// Slaves know something else of an entry.
        case attributes
        /// A server lacks a copy that it should hold.
        case copyMissing
        /// A server holds a copy of which MongoDB does not know.
        case copyUnknown
    }

    public struct Difference: Sendable, Codable, Hashable {
        public var path: String
        public var kind: Kind
        /// What MongoDB says, in words.
        public var mongodb: String
        public var slaves: [Statement]
        public init(path: String, kind: Kind, mongodb: String, slaves: [Statement]) {
            self.path = path
            self.kind = kind
            self.mongodb = mongodb
            self.slaves = slaves
        }
    }

    /// What a slave says, in words.
    public struct Statement: Sendable, Codable, Hashable {
        public var server: ServerName
        public var says: String
        public init(server: ServerName, says: String) {
            self.server = server
            self.says = says
        }
    }

    /// Differences that are told one by one, and slaves that are named with each.
    public static let listed = 20

    /// When it began, and how many seconds it took.
    public var at: Timestamp
    public var seconds: Double
    /// Entries that were compared, and copies of them.
    public var entries: Int
    public var copies: Int
    /// Slaves that answered.
    public var servers: Int
    /// Servers that were up and did not answer.
    public var silent: [ServerName]
    /// Slaves whose copy of the namespace is not up to date, or not there: of these only their copies of files count.
    public var behind: [ServerName]
    /// Entries that changed all the time and were not compared.
    public var changing: Int
    /// Differences that were found.
    public var differing: Int
    /// The first of them.
    public var differences: [Difference]

    public init(
        at: Timestamp, seconds: Double, entries: Int, copies: Int, servers: Int, silent: [ServerName] = [],
        behind: [ServerName] = [], changing: Int = 0, differing: Int = 0, differences: [Difference] = []
    ) {
        self.at = at
        self.seconds = seconds
        self.entries = entries
        self.copies = copies
        self.servers = servers
        self.silent = silent
        self.behind = behind
        self.changing = changing
        self.differing = differing
        self.differences = differences
    }

    /// When it began, to the minute.
    public var when: String { "\(at.description.prefix(16))Z" }
}
