import BrimClient
import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Several masters on one database: all serve, one leads, and nobody notices when that is another one.
    @Suite struct MastersTests {
        private static let servers = ["alpha", "bravo", "charlie"]
        private static let lease = Duration.seconds(2)

        private static func options(_ flags: [String] = [], lease: Duration = lease) -> SwarmOptions {
            .watchful(["--copies", "2", "--lease", DurationText.format(lease)] + flags)
        }

        private func start(_ swarm: Swarm, quota: String = "10M") async throws {
            try await swarm.startMasters(3)
            try await swarm.startSlaves(Self.servers, quota: quota)
        }

        // MARK: - All serve

        @Test func everyMasterDoesWhatIsAskedOfIt() async throws {
            try await Swarm.run(Self.options()) { swarm in
                try await start(swarm)
                var contents: [String: Data] = [:]
                for (number, master) in swarm.masters.enumerated() {
                    func brim(_ arguments: String...) async throws -> CommandResult {
                        let result = try await swarm.cli(
                            arguments, environment: ["BRIM_MASTER": swarm.url(of: master)])
                        guard result.status == 0 else { throw SwarmFailure("\(master): \(result)") }
                        return result
                    }
                    let data = Data.random(count: 20_000, seed: UInt64(number))
                    let file = try swarm.scratchFile(data)
                    let directory = "/d\(number)"
                    _ = try await brim("mkdir", directory)
                    for name in ["moved", "removed", "kept"] {
                        _ = try await brim("put", file.path, "\(directory)/\(name)")
                    }
                    _ = try await brim("mv", "\(directory)/moved", "\(directory)/there")
                    _ = try await brim("rm", "\(directory)/removed")
                    _ = try await brim("undelete", "\(directory)/removed")
                    _ = try await brim("rm", "--now", "\(directory)/kept")
                    _ = try await brim("set", "\(directory)/there", "n=3")
                    #expect(try await brim("cat", "\(directory)/there").stdout == data)
                    _ = try await brim("why", "\(directory)/there")
                    _ = try await brim("workers")
                    _ = try await brim("settings", "scrub-rate=\(number + 1)M")
                    _ = try await brim("verify", "\(directory)/there")
                    _ = try await brim("server", "quota", Self.servers[number], "\(number + 11)M")
                    let status = try await brim("status", "--json").json(StatusReply.self)
                    #expect(status.masters?.count == 3, "\(master)")
                    #expect(
                        status.masters?.filter(\.leader).map(\.url) == [status.leader].compactMap { $0 }, "\(master)")
                    #expect(
                        status.servers.first { $0.name.rawValue == Self.servers[number] }?.quota == Int64(number + 11)
                            * 1_000_000)
                    let curl = try await swarm.request(
                        swarm.url(of: master) + "/v1/files\(directory)/curl", ["-L", "-T", file.path])
                    #expect(curl.status == 201)
                    for name in ["there", "removed", "curl"] { contents["\(directory)/\(name)"] = data }
                }
                // What followers were told has reached the leader: everything is copied and given up as it should be.
                try await swarm.waitFor("three copies of all") {
                    try await swarm.files().values.allSatisfy { $0.k == 3 }
                }
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(contents)
            }
        }

        /// Slaves go to the leader themselves.
        @Test func slavesAreToldWhoLeads() async throws {
            try await Swarm.run(Self.options()) { swarm in
                try await start(swarm)
                let leader = try await leader(of: swarm)
                let follower = try #require(swarm.masters.first { $0 != leader })
                let answer = try await swarm.request(
                    swarm.url(of: follower) + "/v1/node/goodbye",
                    [
                        "-X", "POST", "-H", "content-type: application/json", "-d",
                        #"{"name":"alpha","id":"x","blobs":[]}"#,
                    ], token: try swarm.keys.nodeToken(name: "alpha"))
                #expect(answer.status == 421)
                let error = try answer.error()
                #expect(error.code == .notLeader && error.leader == swarm.url(of: leader))
            }
        }

        // MARK: - One leads

        @Test func aLeaderThatDiesUnderWritesIsReplaced() async throws {
            try await Swarm.run(Self.options()) { swarm in
                try await start(swarm)
                let load = WriteLoad(swarm, writers: 4)
                try await load.run(longest: Self.lease * 2 + .seconds(8)) {
                    try await load.written(20)
                    let leader = try await leader(of: swarm)
                    try await swarm.kill9(leader)
                    try await load.written(40)
                    try await swarm.waitFor("another leader") { try await self.leader(of: swarm) != leader }
                    // The new one heals, too.
                    try await swarm.kill9("charlie")
                    try await swarm.waitFor("charlie down") { try await swarm.server("charlie").state == .down }
                    try await load.written(40)
                }
                let contents = load.contents
                try await swarm.waitFor("two copies of all elsewhere") {
                    let files = try await swarm.files().values
                    return files.count == contents.count && files.allSatisfy { $0.k == 2 && $0.surplus == 0 }
                }
                for (path, data) in contents { #expect(try await swarm.download(path) == data, "\(path)") }
                try await swarm.restart("charlie")
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(contents)
            }
        }

        @Test func aLeaderThatFreezesComesBackAsAFollower() async throws {
            try await Swarm.run(Self.options()) { swarm in
                try await start(swarm)
                let load = WriteLoad(swarm, writers: 2)
                let former = try await leader(of: swarm)
                try await load.run(longest: Self.lease * 2 + .seconds(12)) {
                    try await load.written(10)
                    try swarm.freeze(former)
                    try await swarm.waitFor("another leader") {
                        guard let other = swarm.masters.first(where: { $0 != former }) else { return false }
                        return try await self.leader(of: swarm, from: other).map { $0 != former } ?? false
                    }
                    try await load.written(10)
                    try swarm.thaw(former)
                    try await load.written(10)
                }
                try await swarm.waitFor("it follows") {
                    let leader = try await self.leader(of: swarm, from: former)
                    return leader != nil && leader != former
                }
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(load.contents)
                let terms = try swarm.masters.flatMap { master in
                    try String(contentsOf: swarm.log(of: master), encoding: .utf8).split(separator: "\n")
                        .filter { $0.contains("this master leads") && !$0.contains("no more") }
                }
                #expect(terms.count >= 2)
            }
        }

        /// The lease would last far longer than this waits.
        @Test func aLeaderThatStopsHandsOverAtOnce() async throws {
            try await Swarm.run(Self.options(lease: .seconds(50))) { swarm in
                try await start(swarm)
                try await swarm.put("before", to: "/before")
                let former = try await leader(of: swarm)
                let begun = ContinuousClock.now
                try await swarm.stop(former)
                try await swarm.put("after", to: "/after")
                try await swarm.waitFor("another leader") { try await leader(of: swarm) != former }
                #expect(ContinuousClock.now - begun < .seconds(30))
                try await swarm.waitFor("who left is not shown") { try await swarm.status().masters?.count == 2 }
                try await swarm.restart(former)
                try await swarm.waitFor("it is there again") { try await swarm.status().masters?.count == 3 }
                #expect(try await leader(of: swarm) != former)
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(["/before": Data("before".utf8), "/after": Data("after".utf8)])
            }
        }

        @Test func mastersAreLearnedFromOneAnother() async throws {
            try await Swarm.run(Self.options()) { swarm in
                try await swarm.startMasters(1)
                try await swarm.startSlaves(Self.servers, quota: "1M")
                try await swarm.put("text", to: "/f")
                // Slaves and the command line were told of the first only.
                try await swarm.startMasters(additional: 2)
                let first = ["BRIM_MASTER": swarm.url]
                try await swarm.waitFor("the first knows the others") {
                    let result = try await swarm.cli(["status", "--json"], environment: first)
                    return try result.json(StatusReply.self).masters?.count == 3
                }
                // What was remembered of the swarm a moment ago is asked for anew in a minute only.
                try swarm.forgetRememberedMasters()
                #expect(try await swarm.cli(["ls", "/"], environment: first).status == 0)
                try await swarm.kill9(Swarm.master)
                try await swarm.waitFor("written by way of those that were learned of") {
                    let file = try swarm.scratchFile(Data("more".utf8))
                    return try await swarm.cli(["put", file.path, "/g"], environment: first).status == 0
                }
                #expect(try await swarm.cli(["cat", "/g"], environment: first).text == "more")
                try await swarm.waitUntilUp(Self.servers)
                try await swarm.waitUntilAtRest(Self.servers)
            }
        }

        // MARK: - Details

        /// The name of the leading master, by the word of any.
        private func leader(of swarm: Swarm) async throws -> String {
            var found: String?
            try await swarm.waitFor("a leader") {
                let url = try await swarm.status().leader
                found = swarm.masters.first { swarm.url(of: $0) == url }
                return found != nil
            }
            return try #require(found)
        }

        /// The same, by the word of one; nil when it knows none.
        private func leader(of swarm: Swarm, from master: String) async throws -> String? {
            let answer = try await swarm.request(swarm.url(of: master) + "/v1/masters", ["--max-time", "5"])
            let masters = try BrimJSON.decoder().decode(MastersReply.self, from: answer.body).masters
            let url = masters.first(where: \.leader)?.url
            return swarm.masters.first { swarm.url(of: $0) == url }
        }
    }
}
