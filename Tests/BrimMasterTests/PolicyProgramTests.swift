import BrimModel
import BrimPlacement
import Foundation
import Logging
import ServiceLifecycle
import Testing

@testable import BrimMaster

/// Programs that behave, and all ways in which they may not.
@Suite struct PolicyProgramTests {
    private static let python = ProcessInfo.processInfo.environment["BRIM_TEST_PYTHON"] ?? "/usr/bin/python3"

    private static func file(_ name: String, present: PolicyChoice? = nil) throws -> PolicyFile {
        let now = Timestamp(seconds: 1_800_000_000, nanoseconds: 0)
        return PolicyFile(
            path: try BrimPath(parsing: name), size: 12, created: now, modified: now, now: now,
            attributes: ["popularity": .int(20)], reads: ReadRates(day: 1, week: 7, month: 30), present: present)
    }

    /// Runs a program while `body` does something with it. `body` of the program is Python, with a question in `q` for each.
    private static func with(
        _ program: String, deadline: Duration = .seconds(60),
        _ body: @escaping @Sendable (PolicyProgram) async throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "policy-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appending(path: "policy.py")
        try Data("#!\(python)\nimport json, os, sys, time\nhere = os.path.dirname(__file__)\n\(program)\n".utf8).write(
            to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
        let policy = PolicyProgram(path: file.path, deadline: deadline, logger: Logger(label: "test"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await policy.run() }
            do {
                try await body(policy)
            } catch {
                group.cancelAll()
                throw error
            }
            group.cancelAll()
        }
    }

    /// Asks until there is an answer: it may be starting.
    private static func answer(_ policy: PolicyProgram, _ file: PolicyFile) async throws -> PolicyChoice {
        for _ in 0..<6000 {
            if let choice = await policy.choose(for: [file])[0] { return choice }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw BrimError(.timeout, "the program does not answer")
    }

    private static func waitForWarning(_ policy: PolicyProgram, _ words: String) async throws {
        for _ in 0..<6000 {
            if policy.warning?.contains(words) == true { return }
            _ = await policy.choose(for: [try file("/x")])
            try await Task.sleep(for: .milliseconds(10))
        }
        throw BrimError(.timeout, "no warning of '\(words)', but '\(policy.warning ?? "")'")
    }

    private static let good = """
        for line in sys.stdin:
            q = json.loads(line)
            n = 3 + q["attributes"].get("popularity", 0) // 10 if "x" not in q["path"] else None
            print(json.dumps({"id": q["id"], "n": n, "why": "%s has %d bytes" % (q["path"], q["size"])}), flush=True)
        """

    @Test func itsAnswersAreTaken() async throws {
        try await Self.with(Self.good) { policy in
            let choice = try await Self.answer(policy, try Self.file("/a"))
            #expect(choice == PolicyChoice(n: 5, rule: "program", reason: "/a has 12 bytes"))
            // More than are asked at once, of some of which it has no opinion.
            let files = try (0..<300).map { try Self.file($0 % 3 == 0 ? "/x\($0)" : "/f\($0)") }
            let choices = await policy.choose(for: files)
            #expect(choices.enumerated().allSatisfy { ($0.element?.n == 5) == ($0.offset % 3 != 0) })
            #expect(choices[1]?.reason == "/f1 has 12 bytes")
            #expect(policy.warning == nil)
        }
    }

    /// One that ends after each third question is started again, and what it chose before stays meanwhile.
    @Test func itIsStartedAgain() async throws {
        let fragile = Self.good.replacing(
            "q = json", with: "seen = globals().get('seen', 0) + 1\n    if seen > 3: sys.exit(1)\n    q = json")
        try await Self.with(fragile) { policy in
            for _ in 0..<5 { #expect(try await Self.answer(policy, try Self.file("/a")).n == 5) }
            let former = PolicyChoice(n: 7, rule: "program")
            var isKept = false
            for _ in 0..<2000 where !isKept {
                isKept = await policy.choose(for: [try Self.file("/a", present: former)])[0]?.n == 7
            }
            #expect(isKept)
            try await Self.waitForWarning(policy, "it ended")
        }
    }

    @Test func oneThatHangsIsEnded() async throws {
        let hanging = """
            mark = os.path.join(here, "once")
            for line in sys.stdin:
                q = json.loads(line)
                if not os.path.exists(mark):
                    open(mark, "w").close()
                    time.sleep(3600)
                print(json.dumps({"id": q["id"], "n": 4}), flush=True)
            """
        try await Self.with(hanging, deadline: .seconds(2)) { policy in
            try await Self.waitForWarning(policy, "longer than 2s")
            #expect(try await Self.answer(policy, try Self.file("/a")).n == 4)
            #expect(policy.warning == nil)
        }
    }

    @Test(arguments: [
        ("print('hello', flush=True)", "which is no answer"),
        ("sys.stdout.write('x' * 100000); sys.stdout.flush(); time.sleep(3600)", "a line of more than"),
        ("while True: print(json.dumps({'id': 1000000}), flush=True)", "without end"),
        ("sys.exit(3)", "it ended"),
    ]) func nonsense(_ program: String, _ says: String) async throws {
        try await Self.with("sys.stdin.readline()\n" + program) { try await Self.waitForWarning($0, says) }
    }

    @Test(arguments: [0, -1, 10_000]) func anNThatIsNoneIsNotTaken(_ n: Int) async throws {
        let program = """
            for line in sys.stdin:
                print(json.dumps({"id": json.loads(line)["id"], "n": \(n)}), flush=True)
            """
        try await Self.with(program) { try await Self.waitForWarning($0, "n = \(n) for /x") }
    }

    @Test func oneThatIsNotThereIsWarnedOf() async throws {
        let policy = PolicyProgram(path: "/nowhere/policy", deadline: .seconds(1), logger: Logger(label: "test"))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await policy.run() }
            try await Self.waitForWarning(policy, "cannot start /nowhere/policy")
            group.cancelAll()
        }
    }
}
