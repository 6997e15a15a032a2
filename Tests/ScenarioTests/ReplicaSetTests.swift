import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Three masters and three slaves on a MongoDB replica set of three, whose members die, hang, step down and are cut off
    /// while files are written. The set's times are those of one that `brim mongod` makes.
    @Suite struct ReplicaSetTests {
        private static let servers = ["alpha", "bravo", "charlie"]
        /// Far longer than anything takes: who waits longer hangs.
        private static let longest = Duration.seconds(120)

        private static func run(
            _ body: (Swarm, PrivateReplicaSet) async throws -> Void
        ) async throws {
            let mongo = try await PrivateReplicaSet.start()
            var options = SwarmOptions(["--copies", "2"])
            options.database = .at(mongo)
            do {
                try await Swarm.run(options) { swarm in
                    try await swarm.startMasters(3)
                    // Writes of which nobody knows whether a majority has them leave blobs that wait for that.
                    try await swarm.startSlaves(Self.servers, quota: "20M", ["--pending-expiry", "10s"])
                    try await body(swarm, mongo)
                }
            } catch {
                await mongo.stop()
                throw error
            }
            await mongo.stop()
        }

        /// Breaks something while files are written, several times, waits until they are written again, and mends it.
        private static func disturb(
            _ what: String, times: Int, _ once: @escaping (PrivateReplicaSet, WriteLoad) async throws -> Void
        ) async throws {
            try await run { swarm, mongo in
                let load = WriteLoad(swarm, writers: 3, pause: .milliseconds(500))
                try await load.run(longest: Self.longest) {
                    for round in 1...times {
                        try await mongo.waitUntilWhole()
                        try await load.written(6)
                        _ = load.takeLongestGap()
                        try await once(mongo, load)
                        try await load.written(9)
                        let gap = load.takeLongestGap()
                        print("\(what), \(round) of \(times): \(gap) without an acknowledged write")
                        #expect(gap < Self.longest)
                    }
                }
                print("\(what): errors met by writers: \(load.failures)")
                try await mongo.waitUntilWhole()
                try await load.verify()
                try await swarm.waitUntilUp(Self.servers)
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilDisksAgree(load.contents)
            }
        }

        @Test func thePrimaryIsKilled() async throws {
            try await Self.disturb("primary killed", times: 3) { mongo, load in
                let former = try await mongo.primary()
                await mongo.kill9(former)
                try await mongo.primary(besides: former)
                try await load.written(3)
                try mongo.relaunch(former)
            }
        }

        @Test func thePrimaryStepsDown() async throws {
            try await Self.disturb("primary stepped down", times: 4) { mongo, _ in
                _ = try await mongo.stepDown()
            }
        }

        /// Masters reach the former primary all the time: what it says before it knows that it is none any more must not
        /// be taken for said.
        @Test func thePrimaryIsCutOffFromTheOthers() async throws {
            try await Self.disturb("primary cut off from the others", times: 2) { mongo, load in
                let former = try await mongo.primary()
                mongo.isolate(former)
                try await mongo.primary(besides: former)
                try await load.written(3)
                mongo.heal()
            }
        }

        /// As when its cable is pulled: connections stay and are silent.
        @Test func thePrimaryHangs() async throws {
            try await Self.disturb("primary hangs", times: 2) { mongo, load in
                let former = try await mongo.primary()
                mongo.freeze(former)
                try await mongo.primary(besides: former)
                try await load.written(3)
                mongo.thaw(former)
            }
        }

        /// A list of members in a URI is where to begin, not all there is.
        @Test func oneLivingMemberIsEnoughToFindTheOthers() async throws {
            try await Self.run { swarm, mongo in
                try await swarm.put("before", to: "/before")
                let primary = try await mongo.primary()
                await mongo.kill9(primary)
                let other = try await mongo.primary(besides: primary)
                let secondary = try #require((0..<mongo.count).first { $0 != primary && $0 != other })
                // Neither of the two that lead or led.
                for (name, members) in [("one", [secondary]), ("two", [primary, secondary])] {
                    try await swarm.startMaster(named: name, mongodb: mongo.uri(of: members))
                    let file = try swarm.scratchFile(Data(name.utf8))
                    let only = ["BRIM_MASTER": swarm.url(of: name)]
                    let put = try await swarm.cli(["put", file.path, "/\(name)"], environment: only)
                    #expect(put.status == 0, "\(put)")
                    #expect(try await swarm.cli(["cat", "/before"], environment: only).text == "before")
                }
                try mongo.relaunch(primary)
                try await mongo.waitUntilWhole()
                try await swarm.waitUntilConsistent([
                    "/before": Data("before".utf8), "/one": Data("one".utf8), "/two": Data("two".utf8),
                ])
            }
        }

        /// With and without the primary among those that are lost: alone it is primary for some seconds more.
        @Test(arguments: [true, false])
        func withoutAMajorityNothingIsWrittenAndAllIsRead(primaryIsLost: Bool) async throws {
            try await Self.run { swarm, mongo in
                var contents: [String: Data] = [:]
                for number in 0..<5 {
                    let data = Data.random(count: 4000, seed: UInt64(number))
                    contents["/f\(number)"] = data
                    try await swarm.put(data, to: "/f\(number)")
                }
                try await swarm.waitUntilAtRest(Self.servers)
                // What is read without a master was known to the slaves before.
                for path in contents.keys {
                    try await OfflineReadTests.waitUntilCopied(swarm, path, path: path, on: Self.servers) { _ in true }
                }
                let primary = try await mongo.primary()
                let lost = [(primary + (primaryIsLost ? 0 : 2)) % mongo.count, (primary + 1) % mongo.count]
                for member in lost { await mongo.kill9(member) }

                let new = try swarm.scratchFile(Data("new".utf8), named: "new")
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for master in swarm.masters {
                        for (path, arguments) in [
                            ("files/new", ["-L", "-T", new.path]), ("directories/d", ["-X", "PUT"]),
                            ("files/f0", ["-X", "DELETE"]),
                        ] {
                            group.addTask {
                                let begun = ContinuousClock.now
                                let answer = try await swarm.request(
                                    swarm.url(of: master) + "/v1/\(path)", arguments)
                                let told = "\(master), \(path): \(answer.status) \(answer.text)"
                                #expect(answer.status == 503, "\(told)")
                                #expect(try answer.error().code == .unavailable, "\(told)")
                                print("without a majority: \(path) refused after \(ContinuousClock.now - begun)")
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                let put = try await swarm.cli(["put", new.path, "/new", "--json"])
                #expect(try put.status == 1 && put.error().code == .unavailable, "\(put)")
                for (path, data) in contents {
                    #expect(try await swarm.cli(["cat", path]).stdout == data, "\(path) without a majority")
                }
                try await swarm.waitFor("the masters say that they are not ready") {
                    for master in swarm.masters
                    where try await swarm.request(swarm.url(of: master) + "/readyz", []).status != 503 { return false }
                    return true
                }

                try mongo.relaunch(lost[1])
                try await swarm.waitFor("writes succeed again") {
                    try await swarm.tryPut(Data("after".utf8), to: "/after").status == 0
                }
                contents["/after"] = Data("after".utf8)
                try mongo.relaunch(lost[0])
                try await mongo.waitUntilWhole()
                // What was refused since nobody knew whether a majority would have it may have been done, whole.
                if try await swarm.exists("/new") { contents["/new"] = Data("new".utf8) }
                if try await !swarm.exists("/f0") { contents["/f0"] = nil }
                try await swarm.waitUntilUp(Self.servers)
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(contents)
            }
        }
    }
}
