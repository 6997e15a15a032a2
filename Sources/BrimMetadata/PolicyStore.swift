import BrimModel
import BrimPlacement

/// What policies need of the metadata, and what they leave there.
public protocol PolicyStore: Sendable {
    /// The live entries with these numbers.
    func entries(_ ids: [FileID]) async throws -> [FileID: Entry]

    /// Gives files another n, one update for all: those that are as they were read, and whose n nobody has set unless a change
    /// `overrules` that. Returns how many were changed.
    func choose(_ changes: [PolicyChange], view: ServerView) async throws -> Int

    /// The swarm's rules; of revision 0 and empty before the first.
    func rules() async throws -> StoredRules

    /// Replaces the rules, with `revision` only if that is still theirs. Throws `.precondition`.
    func setRules(_ text: String, ifRevision revision: Int64?) async throws -> StoredRules

    /// The pass over all files that was begun last; nil before the first.
    func policyPass() async throws -> PolicyPass?

    /// Begins a pass, in the place of one that is under way.
    func beginPolicyPass() async throws -> PolicyPass

    /// Notes how far a pass is; false when another has begun since.
    func note(_ pass: PolicyPass) async throws -> Bool

    /// Adds reads of the blobs of live files, in whole files, to what was measured; of other blobs nothing is known. From `due`
    /// on what policies say of these files is to be looked at.
    func addReads(_ reads: [BlobID: Double], at: Timestamp, due: Timestamp) async throws

    /// Live files whose reads were due to be looked at by now, those due first before others.
    func filesWithReadsDue(by: Timestamp, limit: Int) async throws -> [Entry]

    /// They were looked at, as they were then: next due at another time, or forgotten (nil) as there is too little to know. One
    /// that was read again since stays due.
    func settleReads(_ files: [SettledReads]) async throws
}

/// Another n for a file.
public struct PolicyChange: Sendable, Hashable {
    public var file: FileID
    /// As it was read.
    public var rev: Int64
    public var choice: PolicyChoice
    /// Whether it is for a file whose n somebody has set, too.
    public var overrules: Bool

    public init(file: FileID, rev: Int64, choice: PolicyChoice, overrules: Bool = false) {
        self.file = file
        self.rev = rev
        self.choice = choice
        self.overrules = overrules
    }
}

/// Rules as people wrote them.
public struct StoredRules: Sendable, Hashable {
    public var text: String
    /// Rises with each change.
    public var revision: Int64
    /// nil before the first.
    public var changed: Timestamp?

    public init(text: String = "", revision: Int64 = 0, changed: Timestamp? = nil) {
        self.text = text
        self.revision = revision
        self.changed = changed
    }
}

/// One pass over all files, in the order of their numbers, in which each is given the n that policies say.
public struct PolicyPass: Sendable, Hashable {
    /// Rises with each pass.
    public var number: Int64
    public var begun: Timestamp
    /// The last file that was looked at.
    public var after: FileID
    public var seen: Int64
    public var changed: Int64
    /// nil while it is under way.
    public var finished: Timestamp?

    public init(
        number: Int64, begun: Timestamp, after: FileID = FileID(0), seen: Int64 = 0, changed: Int64 = 0,
        finished: Timestamp? = nil
    ) {
        self.number = number
        self.begun = begun
        self.after = after
        self.seen = seen
        self.changed = changed
        self.finished = finished
    }
}

/// A file whose reads were looked at.
public struct SettledReads: Sendable, Hashable {
    public var file: FileID
    /// When they were measured last, as they were read.
    public var measured: Timestamp
    public var due: Timestamp?

    public init(file: FileID, measured: Timestamp, due: Timestamp?) {
        self.file = file
        self.measured = measured
        self.due = due
    }
}
