import BrimModel

/// `GET /v1/policy`: what decides how many copies files have.
public struct PolicyReply: Sendable, Codable {
    /// The rules as people wrote them, in YAML; empty when there are none.
    public var text: String
    /// Rises with each change of the rules, 0 before the first; `If-Match` of a change.
    public var revision: Int64
    public var changed: Timestamp?
    /// The names of the rules, in their order.
    public var rules: [String]
    /// The n of files on which nothing has an opinion.
    public var copies: Int
    /// The program that the master which answers asks after the rules.
    public var program: String?
    /// The pass over all files that was begun last.
    public var pass: PolicyPassReply?
    /// What is wrong with the rules or the program.
    public var warnings: [String]
    public init(
        text: String, revision: Int64, changed: Timestamp?, rules: [String], copies: Int, program: String?,
        pass: PolicyPassReply?, warnings: [String]
    ) {
        self.text = text
        self.revision = revision
        self.changed = changed
        self.rules = rules
        self.copies = copies
        self.program = program
        self.pass = pass
        self.warnings = warnings
    }
}

/// How far policies are applied to all files: `POST /v1/policy/apply`, and in `PolicyReply`.
public struct PolicyPassReply: Sendable, Codable {
    public var number: Int64
    public var begun: Timestamp
    /// nil while it is under way.
    public var finished: Timestamp?
    /// Files looked at, and of these how many were given another n.
    public var files: Int64
    public var changed: Int64
    /// Files there are, about; nil when that is not known.
    public var total: Int64?
    public init(
        number: Int64, begun: Timestamp, finished: Timestamp?, files: Int64, changed: Int64, total: Int64?
    ) {
        self.number = number
        self.begun = begun
        self.finished = finished
        self.files = files
        self.changed = changed
        self.total = total
    }
}

/// `PUT /v1/policy`
public struct PolicyRequest: Sendable, Codable {
    public var text: String
    /// nil: whatever there is now is replaced.
    public var ifRevision: Int64?
    public init(text: String, ifRevision: Int64? = nil) {
        self.text = text
        self.ifRevision = ifRevision
    }
}

/// `POST /v1/policy/test`: what policies say of files, without doing it.
public struct PolicyTestRequest: Sendable, Codable {
    public var paths: [BrimPath]
    /// Rules to be tried in the place of the swarm's.
    public var text: String?
    public init(paths: [BrimPath], text: String? = nil) {
        self.paths = paths
        self.text = text
    }
}

public struct PolicyTestReply: Sendable, Codable {
    public struct Item: Sendable, Codable {
        public var path: String
        /// The n that it has, and who chose it.
        public var n: Int?
        public var policy: String?
        /// The n that it would have.
        public var wanted: Int?
        /// The rule that says so, or `explicit`, `directory`, `program`, `default`.
        public var rule: String?
        public var why: String?
        /// What each rule says of it, in their order.
        public var rules: [RuleVerdict]?
        public var error: BrimError?
        public init(
            path: String, n: Int? = nil, policy: String? = nil, wanted: Int? = nil, rule: String? = nil,
            why: String? = nil, rules: [RuleVerdict]? = nil, error: BrimError? = nil
        ) {
            self.path = path
            self.n = n
            self.policy = policy
            self.wanted = wanted
            self.rule = rule
            self.why = why
            self.rules = rules
            self.error = error
        }
    }
    public struct RuleVerdict: Sendable, Codable {
        public var rule: String
        public var says: String
        public init(rule: String, says: String) {
            self.rule = rule
            self.says = says
        }
    }
    public var files: [Item]
    public init(files: [Item]) { self.files = files }
}
