import BrimModel
import Foundation

/// A number, text or condition computed from what is known of a file: `3 + log2(1 + reads7d)`, `size > 10M and kind == "raw"`.
///
/// | | |
/// | --- | --- |
/// | numbers | `3`, `0.5`; sizes (`10M`, `64KiB`) in bytes; times (`12h`, `30d`) in days |
/// | of each file | `size` (bytes); `age`, `created` (days since it was written last, or made); `reads1d`, `reads7d`, `reads30d`; `name`, `path` (texts) |
/// | attributes | by their names; `attribute("a name")` for any |
/// | operators | `^`; `-`; `*` `/` `%`; `+` `-`; `==` `!=` `<` `<=` `>` `>=`; `not`; `and`; `or` |
/// | functions | `abs` `ceil` `floor` `round` `sqrt` `ln` `log2` `log10`; `min` `max` of several; `if(condition, then, else)`; `has(attribute)`; `first(a, b, …)`, the first that has a value |
///
/// It never fails: an attribute that a file has not has no value, nor has what is computed with it, or with texts instead of
/// numbers, or what is not finite. Nothing equals what has no value, and no condition on it holds but `!=`.
public struct PolicyExpression: Sendable, Hashable, CustomStringConvertible {
    /// Bytes of one.
    static let longest = 2000

    /// As it was written.
    public let description: String
    /// What it is computed from.
    public let inputs: Set<PolicyInput>
    /// Its value where that is the same for all files.
    let constant: Double?
    private let root: Node

    indirect enum Node: Sendable, Hashable {
        case number(Double)
        case text(String)
        case bool(Bool)
        case variable(PolicyVariable)
        case attribute(String)
        case unary(Unary, Node)
        case binary(Binary, Node, Node)
        case call(Function, [Node])
    }

    enum Unary: Sendable { case negative, not }

    enum Binary: String, Sendable {
        case or, and
        case equal = "=="
        case unequal = "!="
        case less = "<"
        case atMost = "<="
        case more = ">"
        case atLeast = ">="
        case plus = "+"
        case minus = "-"
        case times = "*"
        case over = "/"
        case modulo = "%"
        case power = "^"
    }

    enum Function: String, Sendable {
        case abs, ceil, floor, round, sqrt, ln, log2, log10, min, max, has, first
        case choose = "if"

        /// How many arguments it takes.
        var arguments: ClosedRange<Int> {
            switch self {
            case .abs, .ceil, .floor, .round, .sqrt, .ln, .log2, .log10, .has: 1...1
            case .min, .max, .first: 1...16
            case .choose: 3...3
            }
        }
    }

    /// Throws ``PolicyExpressionError``.
    public init(_ text: String) throws {
        description = text
        var parser = PolicyExpressionParser(text)
        root = try parser.whole()
        inputs = Self.inputs(root)
        constant = inputs.isEmpty ? Self.evaluate(root, .any)?.number : nil
    }

    /// Its value; nil where it has none.
    public func value(for file: PolicyFile) -> PolicyValue? { Self.evaluate(root, file) }

    /// A finite number, or nil.
    public func number(for file: PolicyFile) -> Double? { value(for: file)?.number }

    /// Whether it is a condition that holds.
    public func holds(for file: PolicyFile) -> Bool { value(for: file) == .bool(true) }

    // MARK: - Evaluation

    private static func evaluate(_ node: Node, _ file: PolicyFile) -> PolicyValue? {
        switch node {
        case .number(let value): return .number(value)
        case .text(let value): return .text(value)
        case .bool(let value): return .bool(value)
        case .variable(let variable): return variable.value(of: file)
        case .attribute(let name): return file.attributes[name].flatMap(PolicyValue.init)
        case .unary(.negative, let operand): return evaluate(operand, file)?.number.map { .number(-$0) }
        case .unary(.not, let operand): return evaluate(operand, file)?.bool.map { .bool(!$0) }
        case .binary(let operation, let left, let right): return evaluate(operation, left, right, file)
        case .call(let function, let arguments): return evaluate(function, arguments, file)
        }
    }

    private static func evaluate(
        _ operation: Binary, _ left: Node, _ right: Node, _ file: PolicyFile
    ) -> PolicyValue? {
        let a = evaluate(left, file)
        switch operation {
        case .and: return .bool(a?.bool == true && evaluate(right, file)?.bool == true)
        case .or: return .bool(a?.bool == true || evaluate(right, file)?.bool == true)
        default: break
        }
        let b = evaluate(right, file)
        switch operation {
        case .equal: return .bool(a != nil && a == b)
        case .unequal: return .bool(a == nil || a != b)
        case .less: return .bool(isBefore(a, b) ?? false)
        case .more: return .bool(isBefore(b, a) ?? false)
        case .atMost: return .bool(isBefore(b, a).map { !$0 } ?? false)
        case .atLeast: return .bool(isBefore(a, b).map { !$0 } ?? false)
        default: break
        }
        guard let a = a?.number, let b = b?.number else { return nil }
        return switch operation {
        case .plus: .finite(a + b)
        case .minus: .finite(a - b)
        case .times: .finite(a * b)
        case .over: .finite(a / b)
        case .modulo: .finite(a.truncatingRemainder(dividingBy: b))
        default: .finite(pow(a, b))
        }
    }

    /// nil for what cannot be compared.
    private static func isBefore(_ a: PolicyValue?, _ b: PolicyValue?) -> Bool? {
        switch (a, b) {
        case (.number(let a), .number(let b)): a < b
        case (.text(let a), .text(let b)): a.utf8.lexicographicallyPrecedes(b.utf8)
        default: nil
        }
    }

    private static func evaluate(_ function: Function, _ arguments: [Node], _ file: PolicyFile) -> PolicyValue? {
        switch function {
        case .has: return .bool(evaluate(arguments[0], file) != nil)
        case .first: return arguments.lazy.compactMap { evaluate($0, file) }.first
        case .choose: return evaluate(arguments[evaluate(arguments[0], file)?.bool == true ? 1 : 2], file)
        default: break
        }
        let numbers = arguments.compactMap { evaluate($0, file)?.number }
        guard numbers.count == arguments.count, let number = numbers.first else { return nil }
        return switch function {
        case .abs: .finite(Swift.abs(number))
        case .ceil: .finite(number.rounded(.up))
        case .floor: .finite(number.rounded(.down))
        case .round: .finite(number.rounded())
        case .sqrt: .finite(number.squareRoot())
        case .ln: .finite(Foundation.log(number))
        case .log2: .finite(Foundation.log2(number))
        case .log10: .finite(Foundation.log10(number))
        case .min: numbers.min().map { .number($0) }
        case .max: numbers.max().map { .number($0) }
        case .has, .first, .choose: nil
        }
    }

    private static func inputs(_ node: Node) -> Set<PolicyInput> {
        switch node {
        case .number, .text, .bool: []
        case .variable(let variable): [.variable(variable)]
        case .attribute(let name): [.attribute(name)]
        case .unary(_, let operand): inputs(operand)
        case .binary(_, let left, let right): inputs(left).union(inputs(right))
        case .call(_, let arguments): arguments.reduce(into: []) { $0.formUnion(inputs($1)) }
        }
    }
}

/// What an expression comes to.
public enum PolicyValue: Sendable, Hashable {
    case number(Double)
    case text(String)
    case bool(Bool)

    init?(_ attribute: AttributeValue) {
        switch attribute {
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .number(Double(value))
        case .double(let value):
            guard value.isFinite else { return nil }
            self = .number(value)
        case .string(let value): self = .text(value)
        }
    }

    static func finite(_ value: Double) -> PolicyValue? { value.isFinite ? .number(value) : nil }

    var number: Double? { if case .number(let value) = self { value } else { nil } }
    var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
}

/// What an expression is computed from.
public enum PolicyInput: Sendable, Hashable {
    case variable(PolicyVariable)
    case attribute(String)
}

/// What expressions know of each file.
public enum PolicyVariable: String, Sendable, Hashable, CaseIterable {
    case size, age, created, name, path
    case readsDay = "reads1d"
    case readsWeek = "reads7d"
    case readsMonth = "reads30d"

    /// Whether it changes by itself as time goes by.
    var isTime: Bool { self == .age || self == .created }
    var isReads: Bool { self == .readsDay || self == .readsWeek || self == .readsMonth }

    func value(of file: PolicyFile) -> PolicyValue {
        switch self {
        case .size: .number(Double(file.size))
        case .age: .number(Self.days(file.modified, file.now))
        case .created: .number(Self.days(file.created, file.now))
        case .name: .text(file.path.name?.text ?? "")
        case .path: .text(file.path.description)
        case .readsDay: .number(file.reads.day)
        case .readsWeek: .number(file.reads.week)
        case .readsMonth: .number(file.reads.month)
        }
    }

    private static func days(_ from: Timestamp, _ to: Timestamp) -> Double {
        max(0, Double(to.seconds - from.seconds) / 86_400)
    }
}
