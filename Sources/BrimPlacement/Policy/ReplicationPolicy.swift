import BrimModel

/// Decides how many copies files should have.
///
/// What people said of a file or of a directory above it comes before every policy. Then each of a master's policies is asked
/// in turn, and the first that has an opinion on a file decides; the swarm's default n is for those of which none has one.
public protocol ReplicationPolicy: Sendable {
    /// What this policy says of each of these files, in their order; nil where it has no opinion. Asked for new versions, when
    /// attributes change, for files that are read more or less than before, and for all files when a policy is applied: many
    /// times for one file, so the same facts should have the same answer.
    func choose(for files: [PolicyFile]) async -> [PolicyChoice?]
}

/// What a policy may know of a file.
public struct PolicyFile: Sendable, Hashable {
    public var path: BrimPath
    /// Bytes.
    public var size: Int64
    public var created: Timestamp
    public var modified: Timestamp
    /// What it is asked at.
    public var now: Timestamp
    public var attributes: [String: AttributeValue]
    public var reads: ReadRates
    /// What was chosen last; nil for a new file.
    public var present: PolicyChoice?

    public init(
        path: BrimPath, size: Int64, created: Timestamp, modified: Timestamp, now: Timestamp,
        attributes: [String: AttributeValue] = [:], reads: ReadRates = ReadRates(), present: PolicyChoice? = nil
    ) {
        self.path = path
        self.size = size
        self.created = created
        self.modified = modified
        self.now = now
        self.attributes = attributes
        self.reads = reads
        self.present = present
    }
}

extension PolicyFile {
    /// For what does not depend on the file.
    static let any = PolicyFile(
        path: .root, size: 0, created: Timestamp(milliseconds: 0), modified: Timestamp(milliseconds: 0),
        now: Timestamp(milliseconds: 0))
}

/// A wanted number of copies, and who chose it.
public struct PolicyChoice: Sendable, Hashable {
    /// 1…`Limits.maxCopies`.
    public var n: Int
    /// The rule's name, or one of the names in ``PolicyName``.
    public var rule: String
    /// How it came to that, for people.
    public var reason: String

    public init(n: Int, rule: String, reason: String = "") {
        self.n = n
        self.rule = rule
        self.reason = reason
    }

    /// The swarm's default n.
    public static func standard(_ n: Int) -> PolicyChoice {
        PolicyChoice(n: n, rule: PolicyName.standard, reason: "the swarm's default: no policy has another opinion")
    }
}
