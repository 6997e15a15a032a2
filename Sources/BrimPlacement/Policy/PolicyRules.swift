import BrimModel

/// A swarm's rules: of those that apply to a file the first decides its n.
public struct PolicyRules: ReplicationPolicy, Hashable {
    /// Rules in one file.
    static let most = 500
    /// Bytes of the file.
    public static let largest = 256 * 1024

    public let rules: [PolicyRule]
    /// Whether what they say of a file may change as time goes by.
    public let dependsOnTime: Bool
    /// Whether what they say of a file may depend on more than its path, its size and when it was written: attributes, reads,
    /// and the n that they chose before.
    public let areAboutThePresent: Bool
    /// Whether what they say of a file depends on how much it is read.
    public let dependsOnReads: Bool

    public init(_ rules: [PolicyRule] = []) {
        self.rules = rules
        dependsOnTime = rules.contains { $0.inputs.contains(where: \.isTime) || $0.age != nil }
        areAboutThePresent = rules.contains { rule in
            rule.n.constant == nil
                || rule.inputs.contains { if case .attribute = $0 { true } else { $0.isReads } }
        }
        dependsOnReads = rules.contains { $0.inputs.contains(where: \.isReads) }
    }

    public func choose(for files: [PolicyFile]) async -> [PolicyChoice?] { files.map(choice) }

    /// What the rules say of a file; nil where none applies.
    public func choice(for file: PolicyFile) -> PolicyChoice? {
        rules.lazy.compactMap { $0.choice(for: file) }.first
    }
}

extension PolicyInput {
    fileprivate var isTime: Bool { if case .variable(let variable) = self { variable.isTime } else { false } }
    fileprivate var isReads: Bool { if case .variable(let variable) = self { variable.isReads } else { false } }
}

/// One rule: which files it applies to, and the n that these should have.
public struct PolicyRule: Sendable, Hashable {
    public var name: String
    /// One of these must match; empty: every path does.
    public var paths: [PathGlob]
    /// Bytes.
    public var size: ClosedRange<Int64>?
    /// Since the file was written last, in days.
    public var age: ClosedRange<Double>?
    /// A condition.
    public var condition: PolicyExpression?
    /// Rounded, and bounded by `bounds`. A file for which it has no value is left to the next rule.
    public var n: PolicyExpression
    public var bounds: ClosedRange<Int>
    /// How far, beyond the half at which a number is rounded otherwise, the expression must be from an n that this rule has
    /// chosen for the file before it chooses another one: so what goes up and down a little does not make copies come and go.
    public var hysteresis: Double

    public static let usualHysteresis = 0.25

    public init(
        name: String, paths: [PathGlob] = [], size: ClosedRange<Int64>? = nil, age: ClosedRange<Double>? = nil,
        condition: PolicyExpression? = nil, n: PolicyExpression, bounds: ClosedRange<Int> = 1...Limits.maxCopies,
        hysteresis: Double = PolicyRule.usualHysteresis
    ) {
        self.name = name
        self.paths = paths
        self.size = size
        self.age = age
        self.condition = condition
        self.n = n
        self.bounds = bounds
        self.hysteresis = hysteresis
    }

    var inputs: Set<PolicyInput> { n.inputs.union(condition?.inputs ?? []) }

    /// nil when it does not apply to the file.
    func choice(for file: PolicyFile) -> PolicyChoice? {
        guard whyNot(file) == nil, let value = n.number(for: file) else { return nil }
        let chosen = rounded(value, file)
        let reason =
            n.constant == nil ? "\(n) is \(Self.format(value))\(chosen.why)" : "the rule '\(name)' says so"
        return PolicyChoice(n: chosen.n, rule: name, reason: reason)
    }

    private func rounded(_ value: Double, _ file: PolicyFile) -> (n: Int, why: String) {
        // Beyond any n, and still an Int.
        let bounded = min(max(value, -1e6), 1e6)
        let wanted = min(max(Int(bounded.rounded()), bounds.lowerBound), bounds.upperBound)
        if let present = file.present, present.rule == name, bounds.contains(present.n), present.n != wanted,
            abs(bounded - Double(present.n)) <= 0.5 + hysteresis
        {
            return (present.n, ": it stays at \(present.n), as that is less than \(0.5 + hysteresis) away")
        }
        let isBounded = Double(wanted) != bounded.rounded()
        return (wanted, isBounded ? ", within \(bounds.lowerBound) to \(bounds.upperBound)" : "")
    }

    /// Why it does not apply to a file; nil when it does, if n has a value.
    func whyNot(_ file: PolicyFile) -> String? {
        if !paths.isEmpty, !paths.contains(where: { $0.matches(file.path) }) { return "the path does not match" }
        if let size, !size.contains(file.size) { return "the size, \(ByteCount.format(file.size)), is none of these" }
        if let age {
            let days = max(0, Double(file.now.seconds - file.modified.seconds) / 86_400)
            if !age.contains(days) { return "the age, \(Self.format(days)) days, is none of these" }
        }
        if let condition, !condition.holds(for: file) { return "\(condition) does not hold" }
        return nil
    }

    /// What it says of a file, for people who ask why.
    public func verdict(on file: PolicyFile) -> String {
        if let reason = whyNot(file) { return reason }
        if let choice = choice(for: file) { return "n = \(choice.n): \(choice.reason)" }
        return "\(n) has no value for it"
    }

    private static func format(_ value: Double) -> String {
        let rounded = (value * 100).rounded() / 100
        return rounded == rounded.rounded() && abs(rounded) < 1e15 ? String(Int(rounded)) : String(rounded)
    }
}
