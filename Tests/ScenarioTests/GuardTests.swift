import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Settings at run time, what people can see of decisions, and what ends a process that goes wrong.
    @Suite struct GuardTests {
        private func settings(_ swarm: Swarm) async throws -> [String: String] {
            let reply = try await swarm.brim("settings", "--json").json(SettingsReply.self)
            return Dictionary(reply.settings.map { ($0.name, $0.value) }) { first, _ in first }
        }

        @Test func settingsChangeAtRunTimeAndOutliveRestarts() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2", "--floor", "-1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "10M")
                var now = try await settings(swarm)
                #expect(now["copies"] == "2" && now["floor"] == "-1" && now["scrub-interval"] == "30d", "\(now)")
                #expect(now["heartbeat"] == "200ms" && now["breaker"] == "closed")

                let told = try await swarm.brim("settings", "copies=1", "floor=none", "scrub-interval=7d").text
                #expect(told.contains("scrub-interval") && told.contains("7d") && !told.contains("headroom"), "\(told)")
                try await swarm.put("x", to: "/one")
                #expect(try await swarm.stat("/one").n == 1)
                for (change, code, status) in [
                    ("copies=0", BrimError.Code.invalid, Int32(1)), ("copies=many", .invalid, 1),
                    ("floor=5000", .invalid, 1),
                    ("colour=red", .invalid, 1), ("heartbeat=1h", .invalid, 1), ("scrub-rate=1", .invalid, 1),
                    ("breaker=off", .invalid, 1), ("copies", .invalid, 2), ("=1", .invalid, 2),
                ] {
                    let refused = try await swarm.cli(["settings", "headroom=5%", change, "--json"])
                    #expect(refused.status == status, "\(change): \(refused)")
                    #expect(try refused.error().code == code, "\(change): \(refused)")
                }
                let words = try await swarm.cli(["settings", "copies=0"]).stderr
                #expect(words.contains("copies cannot be '0'") && words.contains("1 to 1000"), "\(words)")
                // Of a change that was refused nothing is kept.
                now = try await settings(swarm)
                #expect(now["headroom"] == "2%" && now["copies"] == "1", "\(now)")

                // The same flags leave it so.
                try await swarm.stop(Swarm.master)
                try await swarm.restart(Swarm.master)
                try await swarm.waitUntilUp(["alpha"])
                now = try await settings(swarm)
                #expect(now["copies"] == "1" && now["floor"] == "none" && now["scrub-interval"] == "7d", "\(now)")
                try await swarm.put("x", to: "/two")
                #expect(try await swarm.stat("/two").n == 1)
                // Another flag sets it anew, and no other setting.
                try await swarm.stop(Swarm.master)
                try await swarm.restart(Swarm.master, ["--floor", "-2"])
                now = try await settings(swarm)
                #expect(now["copies"] == "1" && now["floor"] == "-2", "\(now)")
                try await swarm.brim("settings", "copies=", "scrub-interval=")
                now = try await settings(swarm)
                #expect(now["copies"] == "3" && now["scrub-interval"] == "30d", "\(now)")
                // What fits only together is set together.
                try await swarm.brim("settings", "heartbeat=1s", "suspect-after=20s", "down-after=40s")
                try await swarm.waitFor("servers follow") {
                    let beat = try await swarm.brim("workers", "--json").json(WorkersReply.self).workers
                        .first { $0.place == "alpha" && $0.name == "heartbeat" }
                    guard let last = beat?.lastRun, let next = beat?.nextRun else { return false }
                    return next.date.timeIntervalSince(last.date) > 0.9
                }
            }
        }

        @Test func aChangedFloorIsFollowedAtOnce() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1", "--write-copies", "1", "--headroom", "0"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "100K")
                for index in 0..<10 {
                    try await swarm.put(Data.random(count: 10_000, seed: UInt64(index)), to: "/f\(index)")
                }
                try await swarm.waitFor("spare copies everywhere") {
                    try await swarm.files().values.allSatisfy { $0.k == 2 }
                }
                // No copy may go while its file has surplus 1.
                try await swarm.brim("settings", "floor=1")
                let refused = try await swarm.tryPut(Data(count: 10_000), to: "/more", ["--json"])
                #expect(try refused.error().code == .full, "\(refused)")
                #expect(try refused.error().message.contains("floor of 1"), "\(refused)")
                try await swarm.brim("settings", "floor=0")
                try await swarm.put(Data(count: 10_000), to: "/more")
                let given = try await swarm.files().keys.filter { $0 != "/more" }.asyncFilter { path in
                    try await swarm.brim("why", "--json", path).json(WhyReply.self).events.contains {
                        $0.kind == "givenUp"
                    }
                }
                let path = try #require(given.first)
                let story = try await swarm.brim("why", "--json", path).json(WhyReply.self)
                let event = try #require(story.events.first { $0.kind == "givenUp" })
                #expect(event.reason.contains("room for a new file of 10000 bytes"), "\(event)")
                #expect(
                    event.reason.contains("surplus 1 → 0") && event.reason.contains("10000 bytes freed"), "\(event)")
                #expect(story.events.first?.kind == "written" || story.events.first?.kind == "copied", "\(story)")
                // Full: it says what lacks where.
                try await swarm.waitFor("why tells of the lack") {
                    let next = try await swarm.brim("why", "--json", path).json(WhyReply.self).next
                    return next.hasPrefix("no server has room") && next.contains("lacks 10.0 kB")
                }
            }
        }

        @Test func everyLoopIsListed() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                try await swarm.put("text", to: "/f")
                try await swarm.waitFor("the loops have run") {
                    let reply = try await swarm.brim("workers", "--json").json(WorkersReply.self)
                    let own = reply.workers.filter { $0.place == "master" }
                    #expect(
                        Set(own.map(\.name)).isSuperset(of: [
                            "view of servers", "commits", "recount", "deletions", "events", "replication", "membership",
                            "settings",
                        ]))
                    for server in ["alpha", "bravo"] {
                        let names = Set(reply.workers.filter { $0.place == server }.map(\.name))
                        #expect(
                            names.isSuperset(of: [
                                "heartbeat", "reports", "outbox", "pending blobs", "confirmations", "commits",
                                "completions",
                                "pulls",
                                "scrub",
                            ]))
                    }
                    return own.contains { $0.name == "commits" && $0.done == 1 && $0.lastRun != nil }
                        && own.contains { $0.name == "events" && $0.nextRun != nil && $0.state == .idle }
                        && reply.silent.isEmpty
                }
                let text = try await swarm.brim("workers").text
                #expect(text.contains("WORKER") && text.contains("replication"), "\(text)")
                try swarm.freeze("bravo")
                let reply = try await swarm.brim("workers", "--json").json(WorkersReply.self)
                try swarm.thaw("bravo")
                #expect(reply.silent.map(\.rawValue) == ["bravo"])
            }
        }

        /// Someone writes into the database behind the master's back, so that copies would be given up for no reason
        /// that it knows of.
        private static let program = #"""
            import sys, bson, pymongo
            db = pymongo.MongoClient(sys.argv[1]).brim
            done = db.files.update_many({"type": "file", "k": 1}, [
                {"$set": {"n": {"$toLong": 3}}}, {"$set": {"surplus": {"$subtract": ["$k", "$n"]}}}])
            print(done.modified_count)
            """#

        @Test func theBreakerStopsWhatNothingExplains() async throws {
            var options = SwarmOptions(["--copies", "1", "--write-copies", "1", "--headroom", "0"])
            options.database = .ownMongod
            try await Swarm.run(options) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "150K")
                var contents: [String: Data] = [:]
                for index in 0..<20 {
                    contents["/f\(index)"] = Data.random(count: 10_000, seed: UInt64(index))
                    try await swarm.put(contents["/f\(index)"] ?? Data(), to: "/f\(index)")
                }
                try await swarm.waitUntilAtRest(["alpha", "bravo"])
                func spare() async throws -> Int { try await swarm.files().values.count { $0.k == 2 } }
                #expect(try await spare() == 10)
                let window = 10
                try await swarm.brim("settings", "breaker-copies=3", "breaker-share=0%", "breaker-window=\(window)s")
                // What the writes and the change explain is done with one window later, once all is at rest.
                for second in 0..<(window + 3) {
                    try await swarm.brim("set", "/f0", "second=\(second)")
                    try await Task.sleep(for: .seconds(1))
                }
                try await swarm.waitUntilAtRest(["alpha", "bravo"])

                let port = try String(
                    contentsOf: swarm.data(of: Swarm.master).appending(path: "mongodb/port"), encoding: .utf8
                ).trimmingCharacters(in: .whitespacesAndNewlines)
                let program = try swarm.scratchFile(Data(Self.program.utf8), named: "meddle.py").path
                let python = ProcessInfo.processInfo.environment["BRIM_TEST_PYTHON"] ?? "python3"
                let meddled = try await swarm.shell(
                    "\(python) \(program) 'mongodb://127.0.0.1:\(port)/?replicaSet=brim'")
                #expect(meddled.text == "10", "\(meddled)")
                var round = 0
                try await swarm.waitFor("the breaker opens") {
                    round += 1
                    try await swarm.brim("set", "/f0", "round=\(round)")
                    return try await swarm.status().warnings.contains { $0.contains("the breaker is open") }
                }
                #expect(try await swarm.brim("status").text.contains("WARNING: the breaker is open"))
                #expect(try await settings(swarm)["breaker"] == "open")
                #expect(try await spare() == 10, "nothing was given up")
                let log = try String(contentsOf: swarm.log(of: Swarm.master), encoding: .utf8)
                #expect(log.contains("too many copies would be given up without a known cause"))
                // It stays open while it is strained, and when the master is started anew.
                for _ in 0..<window {
                    round += 1
                    try await swarm.brim("set", "/f0", "round=\(round)")
                    try await Task.sleep(for: .seconds(1))
                }
                #expect(try await settings(swarm)["breaker"] == "open")
                #expect(try await spare() == 10)
                try await swarm.brim("settings", "breaker-window=10m")
                try await swarm.stop(Swarm.master)
                try await swarm.restart(Swarm.master)
                try await swarm.waitUntilUp(["alpha", "bravo"])
                try await swarm.waitFor("it is known to be open") { try await settings(swarm)["breaker"] == "open" }

                try await swarm.brim("settings", "breaker=reset", "breaker-copies=1000")
                #expect(try await settings(swarm)["breaker"] == "closed")
                try await swarm.waitFor("copies are exchanged") {
                    try await swarm.files().values.filter { $0.n == 3 }.allSatisfy { $0.k == 2 }
                }
                #expect(try await swarm.status().warnings == [])
                try await swarm.waitUntilConsistent(contents)
            }
        }
    }
}

extension Sequence {
    func asyncFilter(_ isIncluded: (Element) async throws -> Bool) async throws -> [Element] {
        var kept: [Element] = []
        for element in self where try await isIncluded(element) { kept.append(element) }
        return kept
    }
}
