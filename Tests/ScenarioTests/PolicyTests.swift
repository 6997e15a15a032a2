import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// How many copies files should have, by whatever says so.
    @Suite struct PolicyTests {
        private static let servers = ["alpha", "bravo", "charlie", "delta"]

        private static func run(
            _ options: [String] = [], _ body: (Swarm) async throws -> Void
        ) async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                try await swarm.startMaster(options)
                try await swarm.startSlaves(servers, quota: "10M")
                try await body(swarm)
            }
        }

        private static func load(_ swarm: Swarm, _ rules: String) async throws -> CommandResult {
            let file = try swarm.scratchFile(Data(rules.utf8), named: "rules.yaml")
            return try await swarm.cli(["policy", "load", file.path])
        }

        private static func n(_ swarm: Swarm, _ path: String) async throws -> String {
            let stat = try await swarm.stat(path)
            return "\(stat.n.map { "\($0)" } ?? "none") \(stat.policy ?? "none")"
        }

        private static let rules = """
            rules:
              - name: music
                path: /music/**
                n: 3
              - name: popular
                n: 1 + popularity / 10
                max: 4
              - name: large
                size: 100K..
                n: 1
            """

        @Test func eachKindOfRule() async throws {
            try await Self.run { swarm in
                try await swarm.put("before", to: "/music/before")
                let result = try await Self.load(swarm, Self.rules)
                #expect(result.status == 0 && result.text.contains("3 rules, revision 1"), "\(result)")
                try await swarm.put("song", to: "/music/song")
                try await swarm.put("text", to: "/text")
                try await swarm.put(Data.random(count: 200_000, seed: 1), to: "/large")
                #expect(try await Self.n(swarm, "/music/before") == "2 default")
                #expect(try await Self.n(swarm, "/music/song") == "3 music")
                #expect(try await Self.n(swarm, "/text") == "2 default")
                #expect(try await Self.n(swarm, "/large") == "1 large")

                // Attributes change n at once, up and down, and so does another size.
                try await swarm.brim("set", "/text", "popularity=20")
                #expect(try await Self.n(swarm, "/text") == "3 popular")
                try await swarm.put("other text", to: "/text")
                #expect(try await Self.n(swarm, "/text") == "3 popular")
                try await swarm.brim("set", "/text", "popularity=")
                #expect(try await Self.n(swarm, "/text") == "2 default")
                try await swarm.put("small", to: "/large")
                #expect(try await Self.n(swarm, "/large") == "2 default")

                // Who sets n has the last word, until it is left to policies again.
                try await swarm.brim("set", "/music/song", "n=1")
                #expect(try await Self.n(swarm, "/music/song") == "1 explicit")
                try await swarm.put("another song", to: "/music/song")
                #expect(try await Self.n(swarm, "/music/song") == "1 explicit")
                try await swarm.brim("set", "/music/song", "n=")
                #expect(try await Self.n(swarm, "/music/song") == "3 music")

                // What was there before follows when policies are applied.
                let applied = try await swarm.brim("policy", "apply").text
                #expect(applied.contains("4 files looked at, 1 file with another n"), "\(applied)")
                #expect(try await Self.n(swarm, "/music/before") == "3 music")
                try await swarm.waitUntilAtRest(Self.servers)
                let contents = [
                    "/music/before": Data("before".utf8), "/music/song": Data("another song".utf8),
                    "/text": Data("other text".utf8), "/large": Data("small".utf8),
                ]
                try await swarm.waitUntilConsistent(contents)
            }
        }

        @Test func whatIsSaidOfAFileCanBeAsked() async throws {
            try await Self.run { swarm in
                _ = try await Self.load(swarm, Self.rules)
                try await swarm.put("song", to: "/music/song")
                try await swarm.put("text", to: "/text")
                var told = try await swarm.brim("policy", "test", "/music/song", "/text").text
                #expect(
                    told.contains("/music/song: n = 3, by music") && told.contains("/text: n = 2, by default"),
                    "\(told)")
                let file = try swarm.scratchFile(Data("rules: [{name: all, n: 1}]".utf8), named: "other.yaml")
                told = try await swarm.brim("policy", "test", "--rules", file.path, "--verbose", "/text").text
                #expect(told.contains("n = 1 instead of 2, by all") && told.contains("  all: n = 1"), "\(told)")
                #expect(try await Self.n(swarm, "/text") == "2 default")
                let shown = try await swarm.brim("policy", "show").text
                #expect(shown.contains("# revision 1") && shown.contains(Self.rules), "\(shown)")
                let missing = try await swarm.cli(["policy", "test", "/missing"])
                #expect(missing.status == 1 && missing.stderr.contains("/missing does not exist"), "\(missing)")
                let reply = try await swarm.cli(["policy", "test", "--json", "/text"])
                #expect(reply.text.contains(#""wanted":2"#) && reply.text.contains(#""rule":"default""#), "\(reply)")
            }
        }

        /// Old rules stay in force.
        @Test func rulesWithMistakesAreRefused() async throws {
            try await Self.run { swarm in
                _ = try await Self.load(swarm, Self.rules)
                for (rules, says) in [
                    ("rules:\n  - name: x\n    n: 3 +", "line 3, column 11"),
                    ("rules:\n  - name: x\n    n: 0", "must be a whole number from 1 to 1000"),
                    ("rules:\n  - name: x\n    n: -1", "must be a whole number"),
                    ("rules:\n  - name: x\n    n: 10000", "must be a whole number"),
                    ("rules: {", "line 2, column 1"),
                ] {
                    let result = try await Self.load(swarm, rules)
                    #expect(result.status == 1 && result.stderr.contains(says), "\(result)")
                }
                try await swarm.put("song", to: "/music/song")
                #expect(try await Self.n(swarm, "/music/song") == "3 music")
                // Two people at once.
                let file = try swarm.scratchFile(Data(Self.rules.utf8), named: "rules.yaml")
                #expect(try await swarm.cli(["policy", "load", "--if-revision", "1", file.path]).status == 0)
                let second = try await swarm.cli(["policy", "load", "--if-revision", "1", file.path])
                #expect(second.status == 1 && second.stderr.contains("revision 2"), "\(second)")
                for n in ["0", "-1", "10000", "x"] {
                    #expect(try await swarm.cli(["set", "/music/song", "n=\(n)"]).status == 2)
                }
            }
        }

        @Test func directoriesHandTheirNDown() async throws {
            try await Self.run { swarm in
                _ = try await Self.load(swarm, Self.rules)
                try await swarm.brim("mkdir", "-p", "/music/live")
                try await swarm.put("a", to: "/music/live/a")
                try await swarm.put("own", to: "/music/live/own")
                try await swarm.brim("set", "/music/live/own", "n=1")
                #expect(try await Self.n(swarm, "/music/live/a") == "3 music")
                try await swarm.brim("set", "/music", "n=4")
                #expect(try await Self.n(swarm, "/music") == "4 none")
                // Of what is there already only with -R.
                try await swarm.put("b", to: "/music/live/b")
                try await swarm.put("c", to: "/music/live/new/deeper/c")
                #expect(try await Self.n(swarm, "/music/live/a") == "3 music")
                #expect(try await Self.n(swarm, "/music/live/b") == "4 directory")
                #expect(try await Self.n(swarm, "/music/live/new/deeper/c") == "4 directory")
                try await swarm.brim("set", "/music/live", "n=2")
                try await swarm.put("d", to: "/music/live/d")
                #expect(try await Self.n(swarm, "/music/live/d") == "2 directory")

                let all = try await swarm.brim("set", "-R", "/music", "n=3").text
                #expect(all.contains("5 files changed, 4 directories"), "\(all)")
                for name in ["a", "b", "d", "own", "new/deeper/c"] {
                    #expect(try await Self.n(swarm, "/music/live/\(name)") == "3 directory", "\(name)")
                }
                #expect(try await Self.n(swarm, "/music/live") == "none none")
                try await swarm.brim("set", "-R", "/music", "n=")
                #expect(try await Self.n(swarm, "/music/live/own") == "3 music")
                #expect(try await Self.n(swarm, "/music") == "none none")
                let refused = try await swarm.cli(["set", "-R", "/music", "popularity=3"])
                #expect(refused.status == 2, "\(refused)")
            }
        }

        /// The example of docs/policies.md.
        private static func program(_ swarm: Swarm) throws -> URL {
            let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appending(path: "docs/policies.md")
            let text = try String(contentsOf: page, encoding: .utf8)
            let program = try #require(text.firstMatch(of: /```python\n([\s\S]*?)```/)?.1)
            let python = ProcessInfo.processInfo.environment["BRIM_TEST_PYTHON"] ?? "/usr/bin/python3"
            let file = try swarm.scratchFile(
                Data(program.replacing("/usr/bin/env python3", with: python).utf8), named: "policy.py")
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
            return file
        }

        @Test func aProgramIsAsked() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                let program = try Self.program(swarm)
                try await swarm.startMaster(["--policy-program", program.path])
                try await swarm.startSlaves(Self.servers, quota: "10M")
                try await swarm.waitFor("the program answers") {
                    try await swarm.put("text", to: "/notes.txt")
                    return try await Self.n(swarm, "/notes.txt") == "2 default"
                }
                try await swarm.put("photo", to: "/photo.raw")
                #expect(try await Self.n(swarm, "/photo.raw") == "4 program")
                let told = try await swarm.brim("policy", "test", "/photo.raw").text
                #expect(told.contains("by program: raw photos"), "\(told)")
                // Rules come first.
                _ = try await Self.load(swarm, "rules: [{name: one, path: '/one/**', n: 1}]")
                try await swarm.put("photo", to: "/one/photo.raw")
                #expect(try await Self.n(swarm, "/one/photo.raw") == "1 one")

                let none = try await swarm.cli(["master", "--listen", "127.0.0.1:0", "--policy-program", "/nowhere"])
                #expect(none.status == 1 && none.stderr.contains("is no executable file"), "\(none)")
            }
        }

        /// While the pass is under way the leader dies, twice; another goes on where it was.
        @Test func applyingGoesOnAfterACrash() async throws {
            try await Self.run { swarm in
                let tree = swarm.scratch.appending(path: "tree")
                for number in 0..<1500 {
                    let directory = tree.appending(path: "d\(number % 7)")
                    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
                    try Data("\(number)".utf8).write(to: directory.appending(path: "f\(number)"))
                }
                try await swarm.brim("put", "-r", tree.path, "/tree")
                _ = try await Self.load(swarm, "rules: [{name: odd, path: '/tree/d{1,3,5}/**', n: 3}]")
                try await swarm.brim("policy", "apply", "--background")
                for _ in 0..<2 {
                    try await swarm.kill9(Swarm.master)
                    try swarm.relaunch(Swarm.master)
                    try await swarm.waitUntilReady(Swarm.master)
                }
                try await swarm.waitFor("the pass is at its end") {
                    let reply = try await swarm.cli(["policy", "show", "--json"]).json(PolicyReply.self)
                    return reply.pass?.finished != nil && reply.pass?.number == 1
                }
                for directory in 0..<7 {
                    let list = try await swarm.cli(["ls", "--json", "/tree/d\(directory)"]).json([ListItem].self)
                    let wanted = [1, 3, 5].contains(directory) ? 3 : 2
                    #expect(list.count >= 1500 / 7 && list.allSatisfy { $0.n == wanted }, "d\(directory)")
                }
                try await swarm.waitUntilUp(Self.servers)
                try await swarm.waitUntilAtRest(Self.servers)
            }
        }

        /// `Examples/EmbeddedMaster` takes over from a master of the usual kind.
        @Test func aMasterInAProgramOfOnesOwn() async throws {
            try await Self.run { swarm in
                let database = try await swarm.withDatabase { $0.name }
                let address = "127.0.0.1:\(try Swarm.unusedPort())"
                try swarm.launch(
                    "embedded",
                    [
                        "--mongodb", try await PrivateMongod.shared().uri, "--database", database, "--listen", address,
                    ], program: "embedded-master", environment: ["BRIM_PASSWORD": swarm.password])
                let embedded = ["BRIM_MASTER": "http://\(address)"]
                try await swarm.waitFor("it answers") {
                    try await swarm.cli(["ls", "/"], environment: embedded).status == 0
                }
                try await swarm.stop(Swarm.master)
                for (name, bytes, expected) in [
                    ("tiny", 100, "5 cheap"), ("small", 100_000, "4 cheap"), ("large", 2_000_000, "3 default"),
                ] {
                    let file = try swarm.scratchFile(Data.random(count: bytes, seed: 1), named: name)
                    try await swarm.waitFor("\(name) is written") {
                        try await swarm.cli(["put", file.path, "/\(name)"], environment: embedded).status == 0
                    }
                    let stat = try await swarm.cli(["stat", "--json", "/\(name)"], environment: embedded)
                        .json(FileStat.self)
                    #expect("\(stat.n ?? 0) \(stat.policy ?? "none")" == expected)
                }
            }
        }

        /// Nobody does anything but read: n rises, and copies with it. That it falls again when nobody reads any more, and does
        /// not go up and down meanwhile, takes weeks: see `PolicyWorkerTests`.
        @Test func readsRaiseN() async throws {
            try await Self.run { swarm in
                _ = try await Self.load(swarm, "rules: [{name: popular, n: 2 + log2(1 + reads7d), max: 4}]")
                try await swarm.put(Data.random(count: 100_000, seed: 3), to: "/hot")
                try await swarm.put("cold", to: "/cold")
                #expect(try await Self.n(swarm, "/hot") == "2 popular")
                for _ in 0..<8 { _ = try await swarm.read("/hot") }
                try await swarm.waitFor("n follows") { try await Self.n(swarm, "/hot") == "4 popular" }
                #expect(try await Self.n(swarm, "/cold") == "2 popular")
                try await swarm.waitFor("copies follow") { try await swarm.stat("/hot").k == 4 }
            }
        }
    }
}
