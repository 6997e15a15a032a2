import BrimModel

/// A pattern for paths, as shells and .gitignore have them.
///
/// `*` is any part of a name, `?` one character, `[a-z]` or `[!a-z]` one of some, `{jpg,png}` one of several texts, `**` any
/// number of names. One that begins with `/` is for whole paths, another for their ends: `*.mp3` is `/**/*.mp3`. One that ends
/// in `/` is for all that is beneath: `/music/` is `/music/**`. Names are compared by their characters, so case matters.
public struct PathGlob: Sendable, Hashable, CustomStringConvertible {
    /// Patterns that one with braces may stand for.
    static let expansions = 256

    /// As it was written.
    public let description: String
    /// One of them must match.
    private let alternatives: [[Part]]

    private enum Part: Sendable, Hashable {
        /// `**`
        case names
        case name([Symbol])
    }

    private enum Symbol: Sendable, Hashable {
        case character(Unicode.Scalar)
        /// `?`
        case any
        /// `*`
        case run
        case one(of: [ClosedRange<Unicode.Scalar>], isNegated: Bool)
    }

    /// Throws `.invalid`.
    public init(_ text: String) throws {
        guard !text.isEmpty, text.utf8.count <= Limits.pathBytes else {
            throw BrimError(.invalid, "a pattern has 1 to \(Limits.pathBytes) bytes")
        }
        description = text
        alternatives = try Self.expand(Array(text.unicodeScalars)).map(Self.parts)
    }

    public func matches(_ path: BrimPath) -> Bool {
        let names = path.components.map { Array($0.text.unicodeScalars) }
        return alternatives.contains { Self.match($0[...], names[...]) }
    }

    // MARK: - Reading

    /// Replaces the first `{a,b}` by each of its texts, and so on in what that gives.
    private static func expand(_ text: [Unicode.Scalar]) throws -> [[Unicode.Scalar]] {
        var pending = [text]
        var done: [[Unicode.Scalar]] = []
        while let next = pending.popLast() {
            guard let open = next.firstIndex(of: "{") else {
                done.append(next)
                continue
            }
            guard let close = next[open...].firstIndex(of: "}"), !next[open + 1..<close].contains("{") else {
                throw BrimError(.invalid, "a '{' of '\(String(next))' has no '}', or another one within")
            }
            let texts = next[open + 1..<close].split(separator: ",", omittingEmptySubsequences: false)
            guard done.count + pending.count + texts.count <= expansions else {
                throw BrimError(.invalid, "'\(String(text))' stands for more than \(expansions) patterns")
            }
            let (before, after) = (Array(next[..<open]), Array(next[(close + 1)...]))
            for text in texts.reversed() { pending.append(before + Array(text) + after) }
        }
        return done
    }

    private static func parts(_ text: [Unicode.Scalar]) throws -> [Part] {
        let names = text.split(separator: "/", omittingEmptySubsequences: true)
        var parts: [Part] = text.first == "/" ? [] : [.names]
        for name in names {
            if Array(name) == ["*", "*"] {
                if parts.last != .names { parts.append(.names) }
            } else {
                parts.append(.name(try symbols(name)))
            }
        }
        if text.last == "/", parts.last != .names { parts.append(.names) }
        return parts
    }

    private static func symbols(_ name: ArraySlice<Unicode.Scalar>) throws -> [Symbol] {
        var symbols: [Symbol] = []
        var rest = name
        while let scalar = rest.popFirst() {
            switch scalar {
            case "*": if symbols.last != .run { symbols.append(.run) }
            case "?": symbols.append(.any)
            case "[": symbols.append(try set(&rest, of: name))
            default: symbols.append(.character(scalar))
            }
        }
        return symbols
    }

    /// What follows a `[`. A `]` that comes first is one of them.
    private static func set(
        _ rest: inout ArraySlice<Unicode.Scalar>, of name: ArraySlice<Unicode.Scalar>
    ) throws -> Symbol {
        let isNegated = rest.first == "!" || rest.first == "^"
        if isNegated { rest.removeFirst() }
        var ranges: [ClosedRange<Unicode.Scalar>] = []
        while let first = rest.popFirst() {
            if first == "]", !ranges.isEmpty { return .one(of: ranges, isNegated: isNegated) }
            guard rest.first == "-", let last = rest.dropFirst().first, last != "]" else {
                ranges.append(first...first)
                continue
            }
            guard first <= last else { break }
            rest.removeFirst(2)
            ranges.append(first...last)
        }
        throw BrimError(.invalid, "'\(String(Array(name)))' has a '[' without an end, or a range from behind")
    }

    // MARK: - Matching

    private static func match(_ parts: ArraySlice<Part>, _ names: ArraySlice<[Unicode.Scalar]>) -> Bool {
        var (parts, names) = (parts, names)
        // Where to go on when what follows the last `**` does not match: it then takes one name more.
        var retry: (parts: ArraySlice<Part>, names: ArraySlice<[Unicode.Scalar]>)?
        while true {
            switch parts.first {
            case .names:
                parts.removeFirst()
                // Beneath something is not that itself.
                if parts.isEmpty { return !names.isEmpty }
                retry = (parts, names)
                continue
            case .name(let symbols):
                if let name = names.first, matches(symbols[...], name[...]) {
                    parts.removeFirst()
                    names.removeFirst()
                    continue
                }
            case nil:
                if names.isEmpty { return true }
            }
            guard let last = retry, !last.names.isEmpty else { return false }
            (parts, names) = (last.parts, last.names.dropFirst())
            retry = (parts, names)
        }
    }

    private static func matches(_ symbols: ArraySlice<Symbol>, _ name: ArraySlice<Unicode.Scalar>) -> Bool {
        var (symbols, name) = (symbols, name)
        var retry: (symbols: ArraySlice<Symbol>, name: ArraySlice<Unicode.Scalar>)?
        while true {
            if symbols.first == .run {
                symbols.removeFirst()
                retry = (symbols, name)
            } else if let symbol = symbols.first, let scalar = name.first, matches(symbol, scalar) {
                symbols.removeFirst()
                name.removeFirst()
            } else if symbols.isEmpty, name.isEmpty {
                return true
            } else if let last = retry, !last.name.isEmpty {
                (symbols, name) = (last.symbols, last.name.dropFirst())
                retry = (symbols, name)
            } else {
                return false
            }
        }
    }

    private static func matches(_ symbol: Symbol, _ scalar: Unicode.Scalar) -> Bool {
        switch symbol {
        case .character(let wanted): wanted == scalar
        case .any, .run: true
        case .one(let ranges, let isNegated): ranges.contains { $0.contains(scalar) } != isNegated
        }
    }
}

extension String {
    fileprivate init(_ scalars: [Unicode.Scalar]) { self.init(String.UnicodeScalarView(scalars)) }
}
