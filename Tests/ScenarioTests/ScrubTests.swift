import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Copies that change or vanish on a disk behind the program's back are found, set aside and replaced.
    @Suite struct ScrubTests {
        private static let servers = ["alpha", "bravo", "charlie"]

        private struct Line: Decodable {
            var path: String
            var copies: [VerifyReply.Copy]
            var error: BrimError?
        }

        private func start(_ swarm: Swarm) async throws -> [String: Data] {
            try await swarm.startMaster()
            try await swarm.startSlaves(Self.servers, quota: "20M")
            var contents: [String: Data] = [:]
            for index in 0..<4 {
                let data = Data.random(count: 150_000 + index, seed: UInt64(index))
                contents["/d/f\(index)"] = data
                try await swarm.put(data, to: "/d/f\(index)")
            }
            try await swarm.waitFor("copies everywhere") { try await swarm.files().values.allSatisfy { $0.k == 3 } }
            try await swarm.waitUntilConsistent(contents)
            return contents
        }

        private func place(_ swarm: Swarm, _ path: String, on server: String) async throws -> URL {
            let blob = try #require(try await swarm.stat(path).blob)
            let found = try #require(try swarm.blobs(on: server)["\(blob)"])
            return swarm.data(of: server).appending(path: "blobs").appending(path: found.path)
        }

        /// One byte of a copy on alpha flips, one on bravo is cut short, one on charlie vanishes.
        private func damage(_ swarm: Swarm) async throws {
            let flipped = try FileHandle(forUpdating: try await place(swarm, "/d/f0", on: "alpha"))
            try flipped.seek(toOffset: 100_000)
            let byte = try #require(try flipped.read(upToCount: 1)?.first)
            try flipped.seek(toOffset: 100_000)
            try flipped.write(contentsOf: Data([byte ^ 0x10]))
            try flipped.close()
            let cut = try FileHandle(forUpdating: try await place(swarm, "/d/f1", on: "bravo"))
            try cut.truncate(atOffset: 70_000)
            try cut.close()
            try FileManager.default.removeItem(at: try await place(swarm, "/d/f2", on: "charlie"))
        }

        private func quarantine(_ swarm: Swarm, _ server: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(
                atPath: swarm.data(of: server).appending(path: "quarantine").path)
        }

        /// All is whole again, and the story of each file says what happened.
        private func expectRepaired(_ swarm: Swarm, _ contents: [String: Data]) async throws {
            try await swarm.waitFor("replaced") { try await swarm.files().values.allSatisfy { $0.k == 3 } }
            try await swarm.waitUntilConsistent(contents)
            #expect(try quarantine(swarm, "alpha").count == 1)
            #expect(try quarantine(swarm, "bravo").count == 1)
            #expect(try quarantine(swarm, "charlie").isEmpty)
            for (path, server, kind, words) in [
                ("/d/f0", "alpha", "quarantined", "checksum"), ("/d/f1", "bravo", "quarantined", "shorter"),
                ("/d/f2", "charlie", "lost", "does not have"),
            ] {
                let story = try await swarm.brim("why", "--json", path).json(WhyReply.self)
                let index = try #require(
                    story.events.firstIndex { $0.kind == kind && $0.server.rawValue == server }, "\(story)")
                #expect(story.events[index].reason.contains(words), "\(story.events[index])")
                #expect(story.events[index].reason.contains("surplus 1 → 0"), "\(story.events[index])")
                let after = story.events[index...]
                #expect(after.contains { $0.kind == "copied" && $0.server.rawValue == server }, "\(story)")
                #expect(story.k == 3 && story.surplus == 1 && story.replicas.allSatisfy(\.counted))
                let text = try await swarm.brim("why", path).text
                #expect(text.contains(kind) && text.contains("next: every server"), "\(text)")
            }
            let untouched = try await swarm.brim("why", "--json", "/d/f3").json(WhyReply.self)
            #expect(!untouched.events.contains { ["lost", "quarantined"].contains($0.kind) }, "\(untouched)")
        }

        @Test func whatGoesBadOnADiskIsFoundByTheScrub() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                let contents = try await start(swarm)
                try await damage(swarm)
                try await swarm.brim("settings", "scrub-interval=1s", "scrub-load=100%", "scrub-rate=1T")
                try await swarm.waitFor("all three are found") {
                    let told = try await swarm.brim("why", "/d/f2").text
                    let found = try ["alpha", "bravo"].map { try quarantine(swarm, $0).count }
                    return told.contains("lost") && found == [1, 1]
                }
                try await expectRepaired(swarm, contents)
                let workers = try await swarm.brim("workers", "--json").json(WorkersReply.self).workers
                for server in Self.servers {
                    let scrub = try #require(workers.first { $0.place == server && $0.name == "scrub" })
                    #expect(scrub.done >= 4 && scrub.lastRun != nil && scrub.failures == 0, "\(scrub)")
                }
            }
        }

        @Test func aHealthySwarmsScrubChangesNothing() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                let contents = try await start(swarm)
                let before = try await swarm.snapshotAtRest(Self.servers, contents)
                try await swarm.brim("settings", "scrub-interval=500ms", "scrub-load=100%", "scrub-rate=1T")
                try await swarm.waitFor("each copy was verified three times") {
                    let workers = try await swarm.brim("workers", "--json").json(WorkersReply.self).workers
                    return workers.count { $0.name == "scrub" && $0.done >= 12 } == 3
                }
                try await swarm.waitUntilUnchanged(since: before, Self.servers)
                #expect(try await swarm.brim("status", "--json").json(StatusReply.self).warnings == [])
            }
        }

        @Test func verifyFindsItAtOnce() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                let contents = try await start(swarm)
                let good = try await swarm.brim("verify").text
                #expect(good.contains("4 files, 12 copies: 12 ok"), "\(good)")
                try await damage(swarm)
                let found = try await swarm.cli(["verify", "-r", "/d", "--json"])
                #expect(found.status == 1)
                #expect(try found.error().code == .corrupt, "\(found)")
                let lines = try found.text.split(separator: "\n").map {
                    try BrimJSON.decoder().decode(Line.self, from: Data($0.utf8))
                }
                #expect(lines.map(\.path).sorted() == contents.keys.sorted())
                let bad = lines.flatMap { line in
                    line.copies.filter { $0.condition != .ok }.map {
                        "\(line.path) \($0.server) \($0.condition.rawValue)"
                    }
                }
                #expect(Set(bad) == ["/d/f0 alpha corrupt", "/d/f1 bravo corrupt", "/d/f2 charlie missing"], "\(bad)")
                #expect(lines.allSatisfy { $0.copies.count == 3 && $0.error == nil })
                try await expectRepaired(swarm, contents)
                #expect(try await swarm.brim("verify", "/d/f0").text.contains("3 copies: 3 ok"))

                let directory = try await swarm.cli(["verify", "/d", "--json"])
                #expect(try directory.status == 1 && directory.error().code == .isDirectory, "\(directory)")
                let absent = try await swarm.cli(["verify", "/none", "--json"])
                #expect(try absent.status == 1 && absent.error().code == .notFound, "\(absent)")
                // A server that does not answer leaves its copies unverified, not bad.
                try await swarm.stop("bravo")
                let away = try await swarm.cli(["verify", "-r", "/"])
                #expect(away.status == 1 && away.text.contains("unreachable on bravo"), "\(away)")
                #expect(away.text.contains("0 corrupt, 0 missing, 4 unreachable"), "\(away)")
                try await swarm.restart("bravo")
            }
        }

        @Test func whatVanishesMidwayIsToldAndIsNoEnd() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "20M")
                for index in 0..<40 {
                    try await swarm.upload(Data("text \(index)".utf8), to: "/t/\(index % 4)/f\(index)")
                }
                try await swarm.upload(Data("stays".utf8), to: "/t/9/stays")
                async let verified = swarm.cli(["verify", "-r", "/t", "--json"])
                async let removed = swarm.brim("rm", "-r", "/t/0", "/t/1", "/t/2", "/t/3")
                _ = try await removed
                let result = try await verified
                // Which of them it still met is chance.
                #expect(result.status == 0 || result.status == 1, "\(result)")
                let lines = try result.text.split(separator: "\n").map {
                    try BrimJSON.decoder().decode(Line.self, from: Data($0.utf8))
                }
                #expect(lines.contains { $0.path == "/t/9/stays" && $0.copies.map(\.condition) == [.ok] }, "\(result)")
                for line in lines {
                    if let error = line.error {
                        #expect(error.code == .notFound || error.code == .notDirectory, "\(line)")
                    }
                }
                #expect(try swarm.process(of: "alpha").isRunning)
            }
        }
    }
}
