import BrimModel
import Yams

/// Reads rules as people write them, in YAML:
///
/// ```yaml
/// rules:
///   - name: music              # in each file's `policy`, and in what people are told
///     path: /music/**          # or a list; see PathGlob
///     size: 1M..               # from..to, either may be missing
///     age: 30d..               # since it was written last
///     where: rating >= 4       # see PolicyExpression
///     n: 3 + log2(1 + reads7d) # a number or an expression
///     min: 2                   # bounds of an expression
///     max: 8
///     hysteresis: 0.25
/// ```
///
/// Only `name` and `n` must be there.
extension PolicyRules {
    /// Throws `.invalid`, whose message begins with line and column, for the first mistake there is.
    public init(parsing yaml: String) throws {
        guard yaml.utf8.count <= Self.largest else {
            throw BrimError(.tooLarge, "rules of \(yaml.utf8.count) bytes", advice: "At most \(Self.largest) are taken")
        }
        guard let root = try Self.compose(yaml) else {
            self.init()
            return
        }
        let document = try RuleReader(root, "the rules", keys: ["rules"])
        guard let list = document["rules"] else {
            throw mistake(root, "'rules:' is missing")
        }
        guard case .sequence(let nodes) = list else {
            if list.isNothing {
                self.init()
                return
            }
            throw mistake(list, "'rules' is no list")
        }
        guard nodes.count <= Self.most else { throw mistake(list, "there are more than \(Self.most) rules") }
        var names: Set<String> = []
        self.init(
            try nodes.map { node in
                let rule = try PolicyRule(node)
                guard names.insert(rule.name).inserted else {
                    throw mistake(node, "there are two rules named '\(rule.name)'")
                }
                return rule
            })
    }

    private static func compose(_ yaml: String) throws -> Node? {
        do {
            return try Yams.compose(yaml: yaml)
        } catch let error as YamlError {
            switch error {
            case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
                .composer(_, let problem, let mark, _):
                throw mistake(at: mark, problem)
            case .duplicatedKeysInMapping(let keys, let context):
                throw mistake(at: context.mark, "the key '\(keys.first ?? "?")' is there twice")
            default: throw BrimError(.invalid, "the rules are no YAML: \(error)")
            }
        }
    }
}

/// `further` characters behind the mark.
private func mistake(at mark: Mark?, _ text: String, further: Int = 0) -> BrimError {
    let place = mark.map { "line \($0.line), column \($0.column + further): " } ?? ""
    return BrimError(.invalid, place + text)
}

private func mistake(_ node: Node, _ text: String) -> BrimError { mistake(at: node.mark, text) }

extension Node {
    fileprivate var isNothing: Bool {
        if case .scalar(let scalar) = self {
            scalar.style == .plain && ["", "~", "null"].contains(scalar.string)
        } else {
            false
        }
    }
}

/// A mapping with known keys.
private struct RuleReader {
    let node: Node
    private var values: [String: Node] = [:]

    init(_ node: Node, _ what: String, keys: [String]) throws {
        self.node = node
        guard case .mapping(let mapping) = node else {
            throw mistake(node, "\(what) must be keys with values")
        }
        for (key, value) in mapping {
            guard let name = key.scalar?.string, keys.contains(name) else {
                let known = keys.map { "'\($0)'" }.joined(separator: ", ")
                throw mistake(key, "'\(key.scalar?.string ?? "?")' is none of \(known)")
            }
            guard values.updateValue(value, forKey: name) == nil else {
                throw mistake(key, "the key '\(name)' is there twice")
            }
        }
    }

    subscript(key: String) -> Node? { values[key] }

    func text(_ key: String) throws -> (text: String, node: Node)? {
        guard let node = values[key] else { return nil }
        guard let scalar = node.scalar else { throw mistake(node, "'\(key)' must be one value") }
        return (scalar.string, node)
    }

    /// Parses one value; what it throws is told with its place.
    func value<Value>(_ key: String, _ parse: (String) throws -> Value) throws -> Value? {
        guard let (text, node) = try text(key) else { return nil }
        do {
            return try parse(text)
        } catch let error as PolicyExpressionError {
            throw mistake(at: node.mark, "'\(key)': \(error)", further: node.shift(of: error.offset))
        } catch let error as BrimError {
            throw mistake(node, "'\(key)': \(error.message)")
        }
    }
}

extension Node {
    /// How far behind its mark a character of a scalar is; 0 where that cannot be told.
    fileprivate func shift(of offset: Int) -> Int {
        guard let scalar, !scalar.string.contains("\n") else { return 0 }
        return switch scalar.style {
        case .plain, .any: offset
        case .singleQuoted, .doubleQuoted: offset + 1
        case .literal, .folded: 0
        }
    }
}

extension PolicyRule {
    private static let keys = ["name", "path", "size", "age", "where", "n", "min", "max", "hysteresis"]

    fileprivate init(_ node: Node) throws {
        let reader = try RuleReader(node, "a rule", keys: Self.keys)
        guard let name = try reader.value("name", Self.checkedName) else {
            throw mistake(node, "the rule has no 'name'")
        }
        guard let n = try reader.value("n", { try PolicyExpression($0) }) else {
            throw mistake(node, "the rule '\(name)' has no 'n'")
        }
        let least = try reader.value("min", Self.copies)
        let most = try reader.value("max", Self.copies)
        guard least ?? 1 <= most ?? Limits.maxCopies else { throw mistake(node, "'min' is more than 'max'") }
        let bounds = (least ?? 1)...(most ?? Limits.maxCopies)
        if n.inputs.isEmpty {
            guard let constant = n.constant else {
                throw mistake(reader["n"] ?? node, "'n' is \(n), which has no value")
            }
            let isWhole = constant == constant.rounded()
            guard isWhole, (1...Double(Limits.maxCopies)).contains(constant) else {
                throw mistake(
                    reader["n"] ?? node, "'n' is \(n), and must be a whole number from 1 to \(Limits.maxCopies)")
            }
            guard bounds.contains(Int(constant)) else {
                throw mistake(reader["n"] ?? node, "'n' is \(n), which is not within 'min' and 'max'")
            }
        }
        self.init(
            name: name, paths: try Self.globs(reader["path"]),
            size: try reader.value("size") { try Self.range($0, Int64.max, ByteCount.parse) },
            age: try reader.value("age") {
                try Self.range($0, .greatestFiniteMagnitude) { try DurationText.parse($0).inSeconds / 86_400 }
            },
            condition: try reader.value("where") { try PolicyExpression($0) }, n: n, bounds: bounds,
            hysteresis: try reader.value("hysteresis", Self.hysteresis) ?? Self.usualHysteresis)
    }

    private static func checkedName(_ text: String) throws -> String {
        guard !text.isEmpty, text.utf8.count <= Limits.nameBytes, text.allSatisfy({ !$0.isNewline }) else {
            throw BrimError(.invalid, "a name has 1 to \(Limits.nameBytes) bytes in one line")
        }
        guard !PolicyName.reserved.contains(text) else {
            throw BrimError(.invalid, "'\(text)' stands for what is no rule: choose another name")
        }
        return text
    }

    private static func copies(_ text: String) throws -> Int {
        guard let n = Int(text), (1...Limits.maxCopies).contains(n) else {
            throw BrimError(.invalid, "'\(text)' is no whole number from 1 to \(Limits.maxCopies)")
        }
        return n
    }

    private static func hysteresis(_ text: String) throws -> Double {
        guard let value = Double(text), (0...100).contains(value) else {
            throw BrimError(.invalid, "'\(text)' is no number from 0 to 100")
        }
        return value
    }

    private static func globs(_ node: Node?) throws -> [PathGlob] {
        guard let node, !node.isNothing else { return [] }
        let nodes = if case .sequence(let sequence) = node { Array(sequence) } else { [node] }
        return try nodes.map { node in
            guard let text = node.scalar?.string else {
                throw mistake(node, "'path' must be a pattern, or a list of them")
            }
            do {
                return try PathGlob(text)
            } catch let error as BrimError {
                throw mistake(node, "'path': \(error.message)")
            }
        }
    }

    /// `A..B`, `A..`, `..B`: both ends belong to it.
    private static func range<Bound: Comparable & ExpressibleByIntegerLiteral>(
        _ text: String, _ greatest: Bound, _ parse: (String) throws -> Bound
    ) throws -> ClosedRange<Bound> {
        guard let dots = text.firstRange(of: "..") else {
            throw BrimError(.invalid, "'\(text)' is no range: write FROM..TO, FROM.. or ..TO")
        }
        func bound(_ part: Substring) throws -> Bound? {
            let trimmed = part.trimmingPrefix(while: \.isWhitespace)
            let text = String(trimmed.reversed().trimmingPrefix(while: \.isWhitespace).reversed())
            return text.isEmpty ? nil : try parse(text)
        }
        let least = try bound(text[..<dots.lowerBound])
        let most = try bound(text[dots.upperBound...])
        guard least != nil || most != nil else { throw BrimError(.invalid, "'\(text)' has no end") }
        guard least ?? 0 <= most ?? greatest else { throw BrimError(.invalid, "'\(text)' ends before it begins") }
        return (least ?? 0)...(most ?? greatest)
    }
}
