import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import MongoDriver
import Testing

@testable import BrimSlave

extension ScenarioTests {
    /// Rebuild drills: a swarm that is well, and ones of which something was changed behind its back.
    @Suite struct DrillTests {
        /// Room for everything on two servers, and for nothing on the third.
        private static let servers = ["alpha", "bravo", "charlie"]

        private static func start(_ swarm: Swarm) async throws {
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "10M")
            try await swarm.startSlave("charlie", quota: "1")
            for name in ["kept", "held", "lost", "wanted"] { try await swarm.put("\(name)", to: "/music/\(name)") }
            try await swarm.brim("set", "/music/kept", "stars=4.0", "by=Évans")
            try await swarm.waitUntilAtRest(servers)
            try await waitUntilCopied(swarm, "/music/wanted")
        }

        /// Waits until all slaves, or these, have a copy of the namespace that has this file.
        private static func waitUntilCopied(_ swarm: Swarm, _ path: String, on slaves: [String] = servers) async throws
        {
            try await OfflineReadTests.waitUntilCopied(swarm, path, path: path, on: slaves) { _ in true }
        }

        /// `brim drill --json`; its exit status says whether something differs.
        private static func drill(
            _ swarm: Swarm, environment: [String: String?] = [:], sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> DrillReport {
            let result = try await swarm.cli(["drill", "--json"], environment: environment)
            let report = try result.json(DrillReport.self)
            #expect(result.status == (report.differing == 0 ? 0 : 1), "\(result)", sourceLocation: sourceLocation)
            if report.differing > 0 {
                #expect(try result.error().code == .conflict, "\(result)", sourceLocation: sourceLocation)
            }
            return report
        }

        /// Differences, one a line, in the order of the lines.
        private static func lines(_ report: DrillReport) -> [String] {
            report.differences.map { difference in
                let slaves = difference.slaves.map { "\($0.server): \($0.says)" }.joined(separator: "; ")
                return "\(difference.kind) \(difference.path): \(difference.mongodb); \(slaves)"
            }.sorted()
        }

        @Test func aSwarmThatIsWell() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2", "--drill-every", "0"])) { swarm in
                try await swarm.startMasters(2)
                try await swarm.startSlaves(Self.servers, quota: "10M")
                #expect(try await swarm.status().drill == nil)
                try await swarm.put("first", to: "/first")
                try await Self.waitUntilCopied(swarm, "/first")
                let load = WriteLoad(swarm, writers: 2, pause: .milliseconds(100))
                try await load.run(longest: .seconds(120)) {
                    for round in 0..<3 {
                        try await load.written(10)
                        // What is renamed and removed, at once and for good, is no difference either.
                        let paths = load.contents.keys.sorted().prefix(6)
                        for (index, path) in paths.enumerated() where index > 0 {
                            _ = try await swarm.cli(index % 3 == 0 ? ["rm", "--now", path] : ["rm", path])
                        }
                        if let path = paths.first { _ = try await swarm.cli(["mv", path, "/moved-\(round)"]) }
                        let report = try await Self.drill(swarm)
                        #expect(report.differing == 0 && report.servers == 3 && report.entries > 1, "\(report)")
                        #expect(report.silent.isEmpty && report.behind.isEmpty, "\(report)")
                    }
                }
                // Whichever master is asked, to do it and what came of it.
                var last: DrillReport?
                for master in ["master", "master-2"] {
                    let only = ["BRIM_MASTER": swarm.url(of: master)]
                    last = try await Self.drill(swarm, environment: only)
                    let status = try await swarm.cli(["status"], environment: only)
                    #expect(status.status == 0 && status.text.contains("rebuild drill"), "\(status)")
                    #expect(status.text.contains("as on the servers") && !status.text.contains("WARNING"), "\(status)")
                }
                #expect(try await swarm.status().drill == last && last != nil)
                // By itself, when it is switched on.
                try await swarm.brim("settings", "drill-every=1s")
                try await swarm.waitFor("a drill by itself") {
                    guard let drill = try await swarm.status().drill, let last else { return false }
                    return drill.at > last.at && drill.differing == 0
                }
                let workers = try await swarm.brim("workers", "--json").json(WorkersReply.self).workers
                #expect(workers.contains { $0.name == "rebuild drill" && $0.place == "master" && $0.done > 0 })
                let told = try await swarm.brim("drill").text
                #expect(told.contains("3 servers") && told.contains("as on the servers"), "\(told)")
            }
        }

        /// Documents in MongoDB that were changed by hand.
        @Test func aDatabaseThatWasTamperedWith() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1", "--drill-every", "0"])) { swarm in
                try await Self.start(swarm)
                var well = try await Self.drill(swarm)
                #expect(well.differing == 0 && well.entries == 6 && well.copies == 8 && well.servers == 3, "\(well)")
                let directory = try await swarm.stat("/music").id
                let before = try await swarm.withFiles { files in
                    try await files.find(["parent": .int64(directory.rawValue)]).toArray()
                }
                #expect(before.count == 4)
                let lost = try #require(try await swarm.stat("/music/lost").blob)
                try await swarm.withFiles { files in
                    let surplus: BSONDocument = ["$set": ["surplus": ["$subtract": ["$k", "$n"]]]]
                    try await files.updateOne(["name": "wanted"], [["$set": ["n": 2]], surplus])
                    try await files.updateOne(
                        ["name": "held"],
                        [
                            [
                                "$set": [
                                    "replicas": ["$concatArrays": ["$replicas", ["charlie"]]],
                                    "k": ["$add": ["$k", 1]],
                                ]
                            ], surplus,
                        ])
                    #expect(try await files.deleteOne(["name": "lost"]) == 1)
                }
                let found = try await Self.drill(swarm)
                let copy = "a copy of the blob \(lost), 4 bytes, as of rev 1"
                #expect(
                    Self.lines(found) == [
                        "attributes /music/wanted: n 2; alpha: a copy with n 1; bravo: a copy with n 1",
                        "copyMissing /music/held: a copy there of 4 bytes; charlie: no copy",
                        "unknown /music/lost: no entry, no removed file; alpha: \(copy); bravo: \(copy)",
                    ], "\(found)")
                #expect(found.differing == 3)
                // In words, and for everybody who looks at the status.
                let told = try await swarm.cli(["drill"])
                #expect(told.status == 1 && told.stderr.contains("3 differences"), "\(told)")
                for words in ["/music/held: copyMissing", "MongoDB: n 2", "charlie: no copy"] {
                    #expect(told.text.contains(words), "\(told)")
                }
                let status = try await swarm.status()
                #expect(status.drill?.differing == 3 && status.drill?.differences == found.differences)
                #expect(status.warnings.contains { $0.contains("3 differences") }, "\(status.warnings)")
                let shown = try await swarm.brim("status").text
                #expect(shown.contains("WARNING: the rebuild drill of") && shown.contains("3 differences"), "\(shown)")

                // As it was.
                try await swarm.withFiles { files in
                    for document in before {
                        try await files.replaceOne(["_id": document["_id"] ?? .null], document, upsert: true)
                    }
                }
                well = try await Self.drill(swarm)
                #expect(well.differing == 0, "\(well)")
                #expect(try await swarm.status().warnings == [])
            }
        }

        /// A slave's copy of the namespace that lacks something and has something else.
        @Test func aCopyOfTheNamespaceThatWasTamperedWith() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1", "--drill-every", "0"])) { swarm in
                try await Self.start(swarm)
                let kept = try await swarm.stat("/music/kept")
                try await swarm.stop("bravo")
                let directory = swarm.data(of: "bravo").appending(path: "namespace")
                let name = try #require(
                    try FileManager.default.contentsOfDirectory(atPath: directory.path).first {
                        $0.hasSuffix(".sqlite")
                    })
                let copy = try ReplicaDatabase(
                    path: directory.appending(path: name).path,
                    new: .init(scope: .full, server: try ServerName(validating: "bravo")))
                let lost = try await swarm.stat("/music/lost").id
                let known = try await copy.pool.read { try ReplicaReader(database: $0, scope: .full).all() }
                var other = try #require(known.first { $0.id == kept.id })
                other.mode = 0o751
                other.content?.n = 9
                try await copy.apply(
                    [FeedChange(removed: lost, rev: nil), FeedChange(entry: FeedEntry(other))], position: nil)
                try copy.pool.close()
                try await swarm.restart("bravo")
                try await swarm.waitUntilAtRest(Self.servers)

                let found = try await Self.drill(swarm)
                let mode = String(kept.mode, radix: 8)
                #expect(
                    Self.lines(found) == [
                        "attributes /music/kept: mode \(mode), n 1; bravo: mode 751, n 9",
                        "missing /music/lost: a file, version 1, 4 bytes, rev 1; bravo: no entry",
                    ], "\(found)")

                // It is made anew.
                try await swarm.stop("bravo")
                try FileManager.default.removeItem(at: directory)
                try await swarm.restart("bravo")
                try await swarm.waitUntilAtRest(Self.servers)
                try await Self.waitUntilCopied(swarm, "/music/lost", on: ["bravo"])
                let well = try await Self.drill(swarm)
                #expect(well.differing == 0 && well.behind.isEmpty, "\(well)")
            }
        }

        @Test func withoutServers() async throws {
            try await Swarm.run(SwarmOptions(["--drill-every", "1s"])) { swarm in
                try await swarm.startMaster()
                let result = try await swarm.cli(["drill", "--json"])
                #expect(try result.status == 1 && result.error().code == .unavailable, "\(result)")
                #expect(try await swarm.status().drill == nil)
                let wrong = try await swarm.cli(["master", "--drill-every", "1"])
                #expect(wrong.status == 2 && wrong.stderr.contains("drill-every"), "\(wrong)")
                // Then the first is done at once.
                try await swarm.startSlave("alpha", quota: "1M")
                try await swarm.waitFor("the first drill") { try await swarm.status().drill?.servers == 1 }
            }
        }
    }
}
