import BrimModel

/// Why a text is no expression.
public struct PolicyExpressionError: Error, Sendable, Hashable, CustomStringConvertible {
    /// In characters from the beginning of the text, from 0.
    public var offset: Int
    public var description: String
}

/// Reads expressions by recursive descent, with precedences as in most languages.
struct PolicyExpressionParser {
    /// Of brackets and operators within each other.
    private static let deepest = 50

    private enum Token: Equatable {
        case number(Double)
        case text(String)
        case word(String)
        case symbol(String)
        case end

        var description: String {
            switch self {
            case .number(let value): "'\(value)'"
            case .text(let value): "the text \"\(value)\""
            case .word(let value), .symbol(let value): "'\(value)'"
            case .end: "the end"
            }
        }
    }

    private let text: [Character]
    private var place = 0
    private var token = Token.end
    /// Where it begins.
    private var start = 0
    private var depth = 0

    init(_ text: String) { self.text = Array(text) }

    mutating func whole() throws -> PolicyExpression.Node {
        guard text.count <= PolicyExpression.longest else {
            throw error("it has more than \(PolicyExpression.longest) characters")
        }
        try advance()
        let node = try expression()
        guard token == .end else { throw error("\(token.description) where an operator or the end should be") }
        return node
    }

    // MARK: - Grammar

    private typealias Binary = PolicyExpression.Binary

    /// From what binds least to what binds most.
    private static let levels: [[Binary]] = [
        [.or], [.and], [.equal, .unequal, .less, .atMost, .more, .atLeast], [.plus, .minus], [.times, .over, .modulo],
    ]
    private static let negation = 2

    private mutating func expression(_ level: Int = 0) throws -> PolicyExpression.Node {
        guard level < Self.levels.count else { return try signed() }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest * Self.levels.count else { throw error("it is nested too deeply") }
        if level == Self.negation, token == .word("not") || token == .symbol("!") {
            try advance()
            return .unary(.not, try expression(level))
        }
        var left = try expression(level + 1)
        while let operation = operation(among: Self.levels[level]) {
            try advance()
            left = .binary(operation, left, try expression(level + 1))
        }
        return left
    }

    private func operation(among operations: [Binary]) -> Binary? {
        switch token {
        case .word(let text), .symbol(let text): operations.first { $0.rawValue == text }
        default: nil
        }
    }

    private mutating func signed() throws -> PolicyExpression.Node {
        guard token == .symbol("-") else { return try raised() }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.deepest * Self.levels.count else { throw error("it is nested too deeply") }
        try advance()
        return .unary(.negative, try signed())
    }

    private mutating func raised() throws -> PolicyExpression.Node {
        let base = try operand()
        guard token == .symbol("^") else { return base }
        try advance()
        return .binary(.power, base, try signed())
    }

    private mutating func operand() throws -> PolicyExpression.Node {
        let (found, at) = (token, start)
        switch found {
        case .number(let value):
            try advance()
            return .number(value)
        case .text(let value):
            try advance()
            return .text(value)
        case .word(let word):
            try advance()
            return try named(word, at)
        case .symbol("("):
            try advance()
            let node = try expression()
            try expect(")")
            return node
        case .symbol, .end:
            throw error("\(found.description) where a value should be")
        }
    }

    private mutating func named(_ word: String, _ at: Int) throws -> PolicyExpression.Node {
        guard token == .symbol("(") else {
            switch word {
            case "true", "false": return .bool(word == "true")
            case "and", "or", "not":
                throw PolicyExpressionError(offset: at, description: "'\(word)' where a value should be")
            default: return PolicyVariable(rawValue: word).map { .variable($0) } ?? .attribute(word)
            }
        }
        try advance()
        if word == "attribute" {
            guard case .text(let name) = token else { throw error("attribute(\"NAME\") needs a name in quotes") }
            try advance()
            try expect(")")
            return .attribute(name)
        }
        guard let function = PolicyExpression.Function(rawValue: word) else {
            throw PolicyExpressionError(offset: at, description: "there is no function '\(word)'")
        }
        var arguments: [PolicyExpression.Node] = []
        if token != .symbol(")") {
            arguments.append(try expression())
            while token == .symbol(",") {
                try advance()
                arguments.append(try expression())
            }
        }
        try expect(")")
        guard function.arguments.contains(arguments.count) else {
            let (least, most) = (function.arguments.lowerBound, function.arguments.upperBound)
            throw PolicyExpressionError(
                offset: at,
                description: "\(word) takes \(least == most ? "\(least)" : "\(least) to \(most)") arguments, "
                    + "not \(arguments.count)")
        }
        return .call(function, arguments)
    }

    private mutating func expect(_ symbol: String) throws {
        guard token == .symbol(symbol) else {
            throw error("\(token.description) where '\(symbol)' should be")
        }
        try advance()
    }

    private func error(_ description: String) -> PolicyExpressionError {
        PolicyExpressionError(offset: start, description: description)
    }

    // MARK: - Tokens

    private mutating func advance() throws {
        while place < text.count, text[place].isWhitespace { place += 1 }
        start = place
        guard place < text.count else {
            token = .end
            return
        }
        let character = text[place]
        if Self.isDigit(character) || character == "." {
            token = .number(try number())
        } else if character == "\"" || character == "'" {
            token = .text(try quoted(by: character))
        } else if character.isLetter || character == "_" {
            token = .word(taken { $0.isLetter || $0.isNumber || $0 == "_" })
        } else {
            token = .symbol(try symbol())
        }
    }

    private static func isDigit(_ character: Character) -> Bool { character.isASCII && character.isNumber }

    private mutating func taken(_ belongs: (Character) -> Bool) -> String {
        let from = place
        while place < text.count, belongs(text[place]) { place += 1 }
        return String(text[from..<place])
    }

    /// A number, a size in bytes or a time in days.
    private mutating func number() throws -> Double {
        let digits = taken { Self.isDigit($0) || $0 == "." }
        let unit = taken { $0.isLetter }
        guard unit.isEmpty else {
            if let time = try? DurationText.parse(digits + unit) { return time.inSeconds / 86_400 }
            if let size = try? ByteCount.parse(digits + unit) { return Double(size) }
            throw error("'\(digits)\(unit)' is no number, size or time")
        }
        guard let value = Double(digits), value.isFinite else { throw error("'\(digits)' is no number") }
        return value
    }

    private mutating func quoted(by quote: Character) throws -> String {
        place += 1
        let content = taken { $0 != quote }
        guard place < text.count else { throw error("a text without an end") }
        place += 1
        return content
    }

    private mutating func symbol() throws -> String {
        let two = String(text[place..<min(place + 2, text.count)])
        let alias = ["&&": "and", "||": "or"][two]
        if alias != nil || ["==", "!=", "<=", ">="].contains(two) {
            place += 2
            return alias ?? two
        }
        let one = text[place]
        guard "+-*/%^()<>,!".contains(one) else {
            throw error(one == "=" ? "'=' where '==' should be" : "'\(one)' means nothing here")
        }
        place += 1
        return String(one)
    }
}
