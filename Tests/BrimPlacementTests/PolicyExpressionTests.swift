import BrimModel
import Testing

@testable import BrimPlacement

@Suite struct PolicyExpressionTests {
    private static let now = Timestamp(seconds: 1_800_000_000, nanoseconds: 0)

    static let file = PolicyFile(
        path: (try? BrimPath(parsing: "/music/song.mp3")) ?? .root, size: 3_000_000,
        created: now.adding(.seconds(-86_400 * 40)),
        modified: now.adding(.seconds(-86_400 * 10)), now: now,
        attributes: [
            "popularity": .int(20), "rating": .double(4.5), "kind": .string("raw"), "kept": .bool(true),
            "two words": .int(2), "size": .int(1),
        ], reads: ReadRates(day: 1, week: 7, month: 30))

    @Test(
        arguments: [
            ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("2 ^ 3 ^ 2", 512), ("-2 ^ 2", -4), ("2 ^ -1", 0.5), ("7 % 4", 3),
            ("10 - 4 - 3", 3), ("100 / 10 / 2", 5), ("3 + popularity / 10", 5), ("3 + log2(1 + reads7d)", 6),
            ("size", 3_000_000), ("attribute(\"size\")", 1), ("attribute('two words') + 1", 3), ("age", 10),
            ("created", 40), ("reads1d + reads30d", 31), ("10M", 10_000_000), ("64KiB", 65536), ("12h", 0.5),
            ("30d", 30),
            ("min(4, 2, 3)", 2), ("max(4, 2, 3)", 4), ("floor(2.9)", 2), ("ceil(2.1)", 3), ("round(2.5)", 3),
            ("abs(-3)", 3), ("sqrt(16)", 4), ("ln(1)", 0), ("log10(1000)", 3), ("if(popularity > 10, 5, 2)", 5),
            ("if(missing > 10, 5, 2)", 2), ("first(missing, 4)", 4), ("first(popularity, 4)", 20), (".5", 0.5),
            ("- - 3", 3),
        ] as [(String, Double)]) func number(_ text: String, _ value: Double) throws
    {
        #expect(try PolicyExpression(text).number(for: Self.file) == value)
    }

    @Test(arguments: [
        ("popularity > 10", true), ("popularity >= 20 and kind == \"raw\"", true), ("kind == 'RAW'", false),
        ("kind != 'jpg' && kept", true), ("not kept", false), ("!kept || rating > 4", true), ("kept == true", true),
        ("1 < 2 and 2 < 3 or false", true), ("true or false and false", true), ("not 1 > 2", true),
        ("name == 'song.mp3'", true), ("path < '/n'", true), ("size > 1M", true), ("age > 30d", false),
        ("has(popularity)", true), ("has(missing)", false), ("missing == missing", false), ("missing != 3", true),
        ("missing < 3", false), ("missing >= 3", false), ("kind > 3", false), ("kept", true), ("popularity", false),
        ("has(1 / 0)", false), ("not missing", false),
    ]) func condition(_ text: String, _ holds: Bool) throws {
        #expect(try PolicyExpression(text).holds(for: Self.file) == holds)
    }

    @Test(arguments: [
        "missing", "missing + 1", "kind + 1", "kept * 2", "1 / 0", "log2(0)", "sqrt(-1)", "10 ^ 400", "min(1, missing)",
        "popularity > 3", "5 % 0", "-kind",
    ]) func hasNoNumber(_ text: String) throws {
        #expect(try PolicyExpression(text).number(for: Self.file) == nil)
    }

    @Test(arguments: [
        ("", 0, "the end where a value"), ("1 +", 3, "the end where a value"), ("(1 + 2", 6, "the end where ')'"),
        ("1 2", 2, "'2.0' where an operator"), ("popularity = 3", 11, "'=='"), ("log2(1, 2)", 0, "takes 1 arguments"),
        ("if(1, 2)", 0, "takes 3"), ("min()", 0, "1 to 16"), ("power(2)", 0, "no function 'power'"),
        ("3 + $x", 4, "means nothing"), ("'abc", 0, "without an end"), ("10Q", 0, "no number, size or time"),
        ("1.2.3", 0, "is no number"), ("and 3", 0, "where a value"), ("attribute(name)", 10, "name in quotes"),
        ("3 < 4 <", 7, "where a value"), ("a b", 2, "where an operator"),
    ]) func isRefused(_ text: String, _ offset: Int, _ says: String) throws {
        do {
            _ = try PolicyExpression(text)
            Issue.record("'\(text)' is taken")
        } catch let error as PolicyExpressionError {
            #expect(error.offset == offset && error.description.contains(says), "\(error.offset): \(error)")
        }
    }

    @Test func bounds() throws {
        #expect(throws: PolicyExpressionError.self) { try PolicyExpression(String(repeating: "1+", count: 2000) + "1") }
        for nested in ["(", "-", "not ", "if(1 > 2, 1, "] {
            let times = min(300, PolicyExpression.longest / nested.count)
            #expect(throws: PolicyExpressionError.self, "\(nested)") {
                try PolicyExpression(String(repeating: nested, count: times) + "1")
            }
        }
        #expect(
            try PolicyExpression(String(repeating: "(", count: 40) + "1" + String(repeating: ")", count: 40))
                .number(for: Self.file) == 1)
    }

    @Test func inputs() throws {
        let expression = try PolicyExpression("if(popularity > 3, log2(reads7d), size) + attribute('x') + age")
        #expect(
            expression.inputs == [
                .attribute("popularity"), .variable(.readsWeek), .variable(.size), .attribute("x"), .variable(.age),
            ])
    }
}
