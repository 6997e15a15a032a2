import BrimModel
import BrimPlacement
import Testing

@Suite struct PolicyRulesTests {
    private static func file(
        _ path: String = "/music/song.mp3", size: Int64 = 5_000_000, days: Int64 = 0,
        with attributes: [String: AttributeValue] = [:], reads: Double = 0, present: PolicyChoice? = nil
    ) throws -> PolicyFile {
        let now = Timestamp(seconds: 1_800_000_000, nanoseconds: 0)
        let then = Timestamp(seconds: now.seconds - days * 86_400, nanoseconds: 0)
        return PolicyFile(
            path: try BrimPath(parsing: path), size: size, created: then, modified: then, now: now,
            attributes: attributes, reads: ReadRates(day: reads, week: reads, month: reads), present: present)
    }

    private static let example = """
        # What is dear to us.
        rules:
          - name: music
            path: [/music/**, "*.flac"]
            size: 1M..
            where: rating >= 4
            n: 5
          - name: old logs
            path: /logs/
            age: 30d..
            n: 1
          - name: popular
            n: 3 + log2(1 + reads7d)
            min: 2
            max: 6
          - name: the rest
            n: 2
        """

    @Test func theFirstThatAppliesDecides() throws {
        let rules = try PolicyRules(parsing: Self.example)
        #expect(rules.rules.map(\.name) == ["music", "old logs", "popular", "the rest"])
        func choice(_ file: PolicyFile) -> String {
            rules.choice(for: file).map { "\($0.rule) \($0.n)" } ?? "none"
        }
        #expect(choice(try Self.file(with: ["rating": .int(4)])) == "music 5")
        #expect(choice(try Self.file("/x/y.flac", with: ["rating": .double(4.5)])) == "music 5")
        #expect(choice(try Self.file(size: 999_999, with: ["rating": .int(4)])) == "popular 3")
        #expect(choice(try Self.file(size: 1_000_000, with: ["rating": .int(4)])) == "music 5")
        #expect(choice(try Self.file("/logs/a", days: 30)) == "old logs 1")
        #expect(choice(try Self.file("/logs/a", days: 29)) == "popular 3")
        #expect(choice(try Self.file(reads: 7)) == "popular 6")
        #expect(choice(try Self.file(reads: 1000)) == "popular 6")
        #expect(rules.dependsOnReads && rules.dependsOnTime)
        #expect(rules.choice(for: try Self.file(reads: 1000))?.reason.contains("within 2 to 6") == true)
    }

    @Test func aRuleWhoseExpressionHasNoValueIsPassedOver() throws {
        let rules = try PolicyRules(parsing: "rules: [{name: a, n: 3 + popularity/10}, {name: b, n: 2}]")
        #expect(rules.choice(for: try Self.file())?.rule == "b")
        #expect(
            rules.choice(for: try Self.file(with: ["popularity": .int(20)]))
                == PolicyChoice(
                    n: 5, rule: "a", reason: "3 + popularity/10 is 5"))
        #expect(rules.rules[0].verdict(on: try Self.file()).contains("has no value"))
        #expect(!rules.dependsOnReads && !rules.dependsOnTime)
    }

    /// What goes up and down by half a copy changes nothing; what goes further does, and comes back only from further.
    @Test func copiesDoNotFlap() throws {
        let rules = try PolicyRules(parsing: "rules: [{name: r, n: attribute('v'), hysteresis: 0.3}]")
        var present: PolicyChoice?
        var chosen: [Int] = []
        for value in [3.0, 3.4, 3.6, 3.79, 3.81, 3.6, 3.4, 3.21, 3.19, 9.0, 8.3] {
            present = rules.choice(for: try Self.file(with: ["v": .double(value)], present: present))
            chosen.append(try #require(present?.n))
        }
        #expect(chosen == [3, 3, 3, 3, 4, 4, 4, 4, 3, 9, 9])
        // What another rule has chosen is nothing to hold on to, nor what is out of bounds now.
        let other = PolicyChoice(n: 4, rule: "other")
        #expect(rules.choice(for: try Self.file(with: ["v": .double(3.4)], present: other))?.n == 3)
        let bounded = try PolicyRules(parsing: "rules: [{name: r, n: attribute('v'), max: 3}]")
        let former = PolicyChoice(n: 4, rule: "r")
        #expect(bounded.choice(for: try Self.file(with: ["v": .double(3.6)], present: former))?.n == 3)
    }

    @Test(arguments: [("", 0), ("# nothing\n", 0), ("rules:\n", 0), ("rules: []", 0), ("rules: [{name: a, n: 1}]", 1)])
    func fewRules(_ text: String, _ count: Int) throws {
        #expect(try PolicyRules(parsing: text).rules.count == count)
    }

    @Test(arguments: [
        ("rules: 3", "line 1, column 8: 'rules' is no list"),
        ("- a", "line 1, column 1: the rules must be keys"),
        ("rule: []", "line 1, column 1: 'rule' is none of 'rules'"),
        ("rules:\n  - nme: x\n    n: 3", "line 2, column 5: 'nme' is none of"),
        ("rules:\n  - name: x", "line 2, column 5: the rule 'x' has no 'n'"),
        ("rules:\n  - n: 3", "line 2, column 5: the rule has no 'name'"),
        ("rules:\n  - name: x\n    n: 0", "line 3, column 8: 'n' is 0, and must be a whole number from 1 to 1000"),
        ("rules:\n  - name: x\n    n: -1", "line 3, column 8: 'n' is -1"),
        ("rules:\n  - name: x\n    n: 10000", "line 3, column 8: 'n' is 10000"),
        ("rules:\n  - name: x\n    n: 1 / 0", "line 3, column 8: 'n' is 1 / 0, which has no value"),
        ("rules:\n  - name: x\n    n: 2.5", "line 3, column 8: 'n' is 2.5"),
        ("rules:\n  - name: x\n    n: 3 + + 4)", "line 3, column 12: 'n': '+' where a value should be"),
        ("rules:\n  - name: x\n    n: \"3 + *\"", "line 3, column 13: 'n': '*' where"),
        ("rules:\n  - name: x\n    where: a = 3\n    n: 3", "line 3, column 14: 'where': '=' where '=='"),
        ("rules:\n  - name: x\n    size: 3\n    n: 3", "line 3, column 11: 'size': '3' is no range"),
        ("rules:\n  - name: x\n    size: 3G..1G\n    n: 3", "line 3, column 11: 'size': '3G..1G' ends before"),
        ("rules:\n  - name: x\n    size: ..\n    n: 3", "'..' has no end"),
        ("rules:\n  - name: x\n    age: 3x..\n    n: 3", "line 3, column 10: 'age': '3x' is not a duration"),
        ("rules:\n  - name: x\n    path: '[a'\n    n: 3", "line 3, column 11: 'path': '[a' has a '['"),
        ("rules:\n  - name: x\n    path: [/a, {b: c}]\n    n: 3", "line 3, column 16: 'path' must be a pattern"),
        ("rules:\n  - name: x\n    n: 3\n    min: 4", "'n' is 3, which is not within"),
        ("rules:\n  - name: x\n    n: size\n    min: 4\n    max: 3", "'min' is more than 'max'"),
        ("rules:\n  - name: x\n    n: size\n    max: 1001", "line 4, column 10: 'max': '1001' is no whole number"),
        ("rules:\n  - name: x\n    n: size\n    hysteresis: -1", "line 4, column 17: 'hysteresis'"),
        ("rules:\n  - {name: x, n: 1}\n  - {name: x, n: 2}", "line 3, column 5: there are two rules named 'x'"),
        ("rules:\n  - {name: explicit, n: 1}", "line 2, column 12: 'name': 'explicit' stands for"),
        ("rules:\n  - {name: x, n: 1, n: 2}", "the key 'n' is there twice"),
        ("rules:\n  - name: [x", "line 3, column 1"),
        ("rules:\n\t- name: x", "line 2, column 1"),
    ]) func mistakes(_ text: String, _ says: String) throws {
        do {
            _ = try PolicyRules(parsing: text)
            Issue.record("taken: \(text)")
        } catch let error as BrimError {
            #expect(error.code == .invalid && error.message.contains(says), "\(error.message)")
        }
    }

    @Test func bounds() throws {
        let rules = (0..<501).map { "  - {name: r\($0), n: 1}" }.joined(separator: "\n")
        #expect(throws: BrimError.self) { try PolicyRules(parsing: "rules:\n\(rules)") }
        #expect(throws: BrimError.self) {
            try PolicyRules(parsing: "# " + String(repeating: "x", count: PolicyRules.largest))
        }
    }
}
