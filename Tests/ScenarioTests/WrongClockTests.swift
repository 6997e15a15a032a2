import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Machines whose clocks are wrong, by more than any token lives.
    @Suite struct WrongClockTests {
        private static let servers = ["alpha", "bravo", "charlie"]
        private static let wrong = Duration.seconds(2 * 3600)
        private static let options = SwarmOptions.watchful(["--copies", "2", "--lease", "2s"])

        private static func log(_ daemon: String, _ swarm: Swarm) throws -> String {
            try String(contentsOf: swarm.log(of: daemon), encoding: .utf8)
        }

        private static func leader(_ swarm: Swarm) async throws -> String? {
            let url = try await swarm.status().leader
            return swarm.masters.first { swarm.url(of: $0) == url }
        }

        /// Nothing is older or newer than it is by much: all of this test takes less.
        private static func isOfToday(_ time: Timestamp) -> Bool { abs(time.since(.now).inSeconds) < 1800 }

        /// Does all that times matter for at one master.
        private static func work(
            _ swarm: Swarm, at master: String, _ contents: inout [String: Data]
        ) async throws {
            func brim(_ arguments: String...) async throws -> CommandResult {
                let result = try await swarm.cli(arguments, environment: ["BRIM_MASTER": swarm.url(of: master)])
                guard result.status == 0 else { throw SwarmFailure("\(master): \(result)") }
                return result
            }
            let directory = "/\(master)-\(contents.count)"
            let (data, newer) = (Data.random(count: 20_000, seed: 1), Data.random(count: 30_000, seed: 2))
            let (file, other) = (try swarm.scratchFile(data), try swarm.scratchFile(newer))
            _ = try await brim("mkdir", directory)
            #expect(try await isOfToday(swarm.stat(directory).modified))
            for name in ["kept", "removed", "again"] { _ = try await brim("put", file.path, "\(directory)/\(name)") }
            _ = try await brim("put", other.path, "\(directory)/again")
            _ = try await brim("rm", "\(directory)/removed")
            #expect(try await brim("cat", "\(directory)/kept").stdout == data)
            // curl, with a token that lives no longer than the clock is wrong.
            let token = try await swarm.brim("token", "--expires", "10m").text
            let curl = try await swarm.request(
                swarm.url(of: master) + "/v1/files\(directory)/curl", ["-L", "-T", file.path], token: token)
            #expect(curl.status == 201, "\(curl.text)")
            #expect(try await isOfToday(swarm.stat("\(directory)/curl").modified))

            // What was removed and overwritten a moment ago is no hour old, whoever is asked.
            let item = try #require(try await TrashTests.trash(swarm, directory).first)
            #expect(isOfToday(item.removed), "\(item)")
            for asked in swarm.masters {
                let purged = try await swarm.cli(
                    ["purge", "--json", "--older-than", "1h"], environment: ["BRIM_MASTER": swarm.url(of: asked)])
                #expect(try purged.json(PurgeReply.self).files == 0, "\(purged)")
            }
            _ = try await brim("undelete", "\(directory)/removed")
            #expect(try await brim("versions", "--json", "\(directory)/again").json([VersionItem].self).count == 2)
            for name in ["kept", "removed", "curl"] { contents["\(directory)/\(name)"] = data }
            contents["\(directory)/again"] = newer
        }

        /// The first master leads with a clock that is wrong, later it follows.
        @Test(arguments: [wrong, .zero - wrong])
        func oneOfThreeMasters(_ ahead: Duration) async throws {
            try await Swarm.run(Self.options) { swarm in
                swarm.setClock(of: Swarm.master, ahead: ahead)
                try await swarm.startMasters(3)
                try await swarm.waitFor("it goes by the others' clocks") {
                    try Self.log(Swarm.master, swarm).contains("the clock of this master is wrong")
                }
                try await swarm.startSlaves(Self.servers, quota: "1M")
                try await swarm.waitFor("a leader") { try await Self.leader(swarm) != nil }
                if try await Self.leader(swarm) != Swarm.master {
                    // It was busy when its lease had to be renewed: its turn again.
                    for other in swarm.masters where other != Swarm.master { try await swarm.stop(other) }
                    try await swarm.waitFor("it leads") { try await Self.leader(swarm) == Swarm.master }
                    for other in swarm.masters where other != Swarm.master { try await swarm.restart(other) }
                }
                var contents: [String: Data] = [:]
                for master in swarm.masters { try await Self.work(swarm, at: master, &contents) }
                let side = ahead > .zero ? "ahead of" : "behind"
                try await swarm.waitFor("the status tells of the clock") {
                    try await swarm.status().warnings == [
                        "the clock of the master \(swarm.url) is 2h \(side) the others, by which it goes: set that "
                            + "machine's clock"
                    ]
                }
                #expect(try await swarm.brim("status").text.contains("WARNING: the clock of the master"))
                try await swarm.waitFor("two copies of all") {
                    try await swarm.files().values.allSatisfy { ($0.k ?? 0) >= 2 }
                }
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(contents)

                // The others are not misled about its lease: they wait for that, and no longer.
                try await swarm.kill9(Swarm.master)
                try await swarm.waitFor("another one leads") {
                    try await Self.leader(swarm).map { $0 != Swarm.master } ?? false
                }
                try await swarm.restart(Swarm.master)
                for master in swarm.masters { try await Self.work(swarm, at: master, &contents) }
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(contents)
                #expect(try await Self.leader(swarm) != Swarm.master)

                // Left alone it still knows.
                for other in swarm.masters where other != Swarm.master { try await swarm.stop(other) }
                try await swarm.waitFor("it leads") { try await Self.leader(swarm) == Swarm.master }
                try await swarm.waitFor("it is alone") { try await swarm.status().masters?.count == 1 }
                let text = try swarm.scratchFile(Data("alone".utf8))
                let alone = try await swarm.cli(
                    ["put", text.path, "/alone"], environment: ["BRIM_MASTER": swarm.url(of: Swarm.master)])
                #expect(alone.status == 0, "\(alone)")
                contents["/alone"] = Data("alone".utf8)
                try await swarm.waitUntilUp(Self.servers)
                for other in swarm.masters where other != Swarm.master { try await swarm.restart(other) }

                // Set right.
                try await swarm.stop(Swarm.master)
                swarm.setClock(of: Swarm.master, ahead: .zero)
                try await swarm.restart(Swarm.master)
                try await swarm.waitFor("no warning any more") { try await swarm.status().warnings.isEmpty }
                try await swarm.waitUntilConsistent(contents)
            }
        }

        /// Nobody but MongoDB could tell a master that is alone. It says so, and so does whoever it refuses; nothing is lost.
        @Test(arguments: [wrong, .zero - wrong])
        func aMasterThatIsAlone(_ ahead: Duration) async throws {
            try await Swarm.run(Self.options) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "1M")
                try await swarm.put("text", to: "/f")
                try await swarm.put("more", to: "/removed")
                try await swarm.brim("rm", "/removed")
                let before = try await swarm.snapshotAtRest(Self.servers, ["/f": Data("text".utf8)])

                try await swarm.stop(Swarm.master)
                swarm.setClock(of: Swarm.master, ahead: ahead)
                try await swarm.restart(Swarm.master)
                let side = ahead > .zero ? "ahead of" : "behind"
                // Whoever has the same clock is let in.
                try await swarm.waitFor("the status tells of the clock") {
                    let status = try await swarm.cli(["status", "--json"], clockAhead: ahead)
                    return try status.json(StatusReply.self).warnings.contains {
                        $0.hasPrefix("the master's clock is 2h \(side) that of MongoDB's primary")
                    }
                }
                let refused: CommandResult
                if ahead > .zero {
                    refused = try await swarm.cli(["status", "--json"])
                    try await swarm.waitFor("slaves say why they are refused") {
                        try Self.log("alpha", swarm).contains("by the clock of who was asked")
                    }
                } else {
                    // The master lets everybody in, but the slaves do not take what it signs.
                    refused = try await swarm.cli(["cat", "--json", "/f"])
                }
                #expect(refused.status == 1, "\(refused)")
                let error = try refused.error()
                #expect(error.message.contains("clock") || error.advice?.contains("clock") == true, "\(refused)")

                try await swarm.stop(Swarm.master)
                swarm.setClock(of: Swarm.master, ahead: .zero)
                try await swarm.restart(Swarm.master)
                try await swarm.waitUntilUnchanged(since: before, Self.servers)
                #expect(try await TrashTests.trash(swarm).map(\.path) == ["/removed"])
                try await swarm.waitFor("no warning any more") { try await swarm.status().warnings.isEmpty }
            }
        }

        @Test func aCommandWhoseClockIsWrong() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                try await swarm.put("text", to: "/f")
                // Its tokens live longer than they should.
                let early = try await swarm.cli(["cat", "/f"], clockAhead: Self.wrong)
                #expect(early.status == 0 && early.text == "text", "\(early)")

                let late = try await swarm.cli(["cat", "--json", "/f"], clockAhead: .zero - Self.wrong)
                #expect(late.status == 1, "\(late)")
                let error = try late.error()
                #expect(error.code == .unauthorized, "\(late)")
                #expect(error.message.contains("by the clock of who was asked"), "\(late)")
                #expect(error.advice?.contains("clocks is wrong: set it") == true, "\(late)")
                let told = try await swarm.cli(["put", swarm.passwordFile.path, "/g"], clockAhead: .zero - Self.wrong)
                #expect(told.status == 1 && told.stderr.hasPrefix("brim: ") && told.stderr.contains("clock"), "\(told)")
                try await swarm.waitUntilConsistent(["/f": Data("text".utf8)])
            }
        }

        @Test func aSlaveWhoseClockIsWrong() async throws {
            try await Swarm.run(Self.options) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                try await swarm.put("text", to: "/f")
                swarm.setClock(of: "charlie", ahead: Self.wrong)
                try await swarm.startSlave("charlie", quota: "1M")
                try await swarm.waitFor("the status tells of it") {
                    try await swarm.status().warnings == [
                        "the clock of the server charlie is 2h ahead of the masters': set it, or tokens are refused there"
                    ]
                }
                #expect(try Self.log(Swarm.master, swarm).contains("the clock of a server is wrong"))
                try await swarm.stop("charlie")
                // One that is behind is not let in, and says why.
                swarm.setClock(of: "charlie", ahead: .zero - Self.wrong)
                let process = try swarm.relaunch("charlie")
                #expect(try await process.waitForExit(within: .seconds(60)) == .status(1))
                #expect(try Self.log("charlie", swarm).contains("by the clock of who was asked"))

                swarm.setClock(of: "charlie", ahead: .zero)
                try await swarm.restart("charlie")
                try await swarm.waitFor("no warning any more") { try await swarm.status().warnings.isEmpty }
                try await swarm.waitFor("a copy everywhere") { try await swarm.k("/f") == 3 }
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(["/f": Data("text".utf8)])
            }
        }
    }
}
