import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Servers that fall silent, and come back or do not.
    @Suite struct NodeDownTests {
        private func state(of server: String, _ swarm: Swarm) async throws -> ServerState {
            try await swarm.server(server).state
        }

        @Test func silenceIsSuspectThenDownAndAReturnCountsWithoutCopying() async throws {
            try await Swarm.run(.watchful(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "1M")
                let data = Data.random(count: 50_000, seed: 7)
                try await swarm.put(data, to: "/f")
                try await swarm.waitFor("three copies") { try await swarm.k("/f") == 3 }
                let before = try swarm.blobs(on: "charlie")
                #expect(before.count == 1)

                try swarm.freeze("charlie")
                try await swarm.waitFor("charlie suspect, and counted still") {
                    guard try await state(of: "charlie", swarm) == .suspect else { return false }
                    let k = try await swarm.k("/f")
                    return try await state(of: "charlie", swarm) == .suspect && k == 3
                }
                try await swarm.waitFor("charlie down") { try await state(of: "charlie", swarm) == .down }
                try await swarm.waitFor("its copy no longer counted") { try await swarm.k("/f") == 2 }
                let stat = try await swarm.stat("/f")
                #expect(stat.surplus == 0 && stat.n == 2)
                // It is away, not forgotten.
                #expect(try await swarm.holders("/f") == ["alpha", "bravo", "charlie"])
                let locations = try await swarm.brim("where", "--json", "/f").json([Location].self)
                #expect(locations.first { $0.server.rawValue == "charlie" }?.state == .down)
                try await swarm.waitFor("the status follows") { try await swarm.status().minSurplus == 0 }
                try await swarm.put("meanwhile", to: "/g")

                try swarm.thaw("charlie")
                try await swarm.waitUntilUp(["charlie"])
                try await swarm.waitFor("its copy counted again") { try await swarm.k("/f") == 3 }
                let after = try swarm.blobs(on: "charlie")
                #expect(before.allSatisfy { after[$0.key] == $0.value }, "\(before) became \(after)")
                try await swarm.waitFor("a spare copy of what it missed") { try await swarm.k("/g") == 3 }
                try await swarm.waitUntilConsistent(["/f": data, "/g": Data("meanwhile".utf8)])
            }
        }

        @Test func whatWasRemovedOrChangedMeanwhileIsGoneFromTheReturningDisk() async throws {
            try await Swarm.run(.watchful(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "1M")
                for name in ["stays", "goes", "changes"] { try await swarm.put("\(name) at first", to: "/\(name)") }
                try await swarm.waitFor("three copies of each") {
                    try await swarm.files().values.allSatisfy { $0.k == 3 }
                }
                let stays = "\(try #require(try await swarm.stat("/stays").blob))"
                let before = try swarm.blobs(on: "charlie")

                try await swarm.kill9("charlie")
                try await swarm.waitFor("charlie down") { try await state(of: "charlie", swarm) == .down }
                try await swarm.brim("rm", "--now", "/goes")
                try await swarm.put("another text", to: "/changes")
                try await swarm.brim("purge", "--versions", "/changes")
                #expect(try swarm.blobs(on: "charlie") == before)

                try await swarm.restart("charlie")
                let contents = ["/stays": Data("stays at first".utf8), "/changes": Data("another text".utf8)]
                try await swarm.waitFor("three copies of each") {
                    try await swarm.files().values.allSatisfy { $0.k == 3 }
                }
                try await swarm.waitUntilConsistent(contents)
                #expect(try swarm.blobs(on: "charlie")[stays] == before[stays])
                #expect(try swarm.blobs(on: "charlie").count == 2)
                #expect(try await !swarm.exists("/goes"))
            }
        }

        @Test func aLostCopyIsMadeAgainElsewhereAndIsSpareWhenItReturns() async throws {
            try await Swarm.run(.watchful(["--copies", "2", "--max-copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                try await swarm.put("precious", to: "/f")
                try await swarm.waitFor("both hold it") { try await swarm.holders("/f") == ["alpha", "bravo"] }
                try await swarm.startSlave("charlie", quota: "1M")

                // By intent or not, the copies of a server that is away for long are made again.
                try await swarm.stop("alpha")
                try await swarm.waitFor("charlie takes the place of alpha") {
                    let file = try await swarm.stat("/f")
                    return file.k == 2 && file.replicas?.map(\.rawValue).contains("charlie") == true
                }
                try await swarm.restart("alpha")
                try await swarm.waitFor("all three count") {
                    let file = try await swarm.stat("/f")
                    return file.k == 3 && file.surplus == 1
                }
                try await swarm.waitUntilConsistent(["/f": Data("precious".utf8)])
            }
        }

        @Test func unreachableFilesAreCountedApart() async throws {
            try await Swarm.run(.watchful(["--copies", "1", "--max-copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1K")
                // Each new file goes to the emptier of the two.
                var contents: [String: Data] = [:]
                for index in 0..<10 {
                    let data = Data.random(count: 10 + index, seed: UInt64(index))
                    try await swarm.put(data, to: "/f\(index)")
                    contents["/f\(index)"] = data
                }
                try await swarm.waitUntilConsistent(contents)
                let holders = try await swarm.allHolders()
                let lost = holders.filter { $0.value == ["alpha"] }.keys.sorted()
                let kept = holders.filter { $0.value == ["bravo"] }.keys.sorted()
                try #require(lost.count + kept.count == 10)
                let gone = try #require(lost.first)
                let there = try #require(kept.first)

                try await swarm.kill9("alpha")
                try await swarm.waitFor("the files of alpha unreachable") {
                    try await swarm.status().unreachable == Int64(lost.count)
                }
                try await swarm.waitFor("the least surplus is that of readable files") {
                    let status = try await swarm.status()
                    return status.minSurplus == 0 && status.maxSurplus == 0 && status.files == 10
                }
                let read = try await swarm.cli(["cat", "--json", gone])
                #expect(read.status == 1)
                #expect(try read.error().code == .unavailable, "\(read)")
                #expect(try await swarm.read(there) == contents[there])
                let stat = try await swarm.stat(gone)
                #expect(stat.k == 0 && stat.surplus == -1 && stat.replicas?.map(\.rawValue) == ["alpha"])

                try await swarm.restart("alpha")
                try await swarm.waitFor("all reachable") { try await swarm.status().unreachable == 0 }
                try await swarm.waitUntilConsistent(contents)
            }
        }

        @Test func readsAndWritesGoOnWhileOneOfTwoHoldersIsAway() async throws {
            try await Swarm.run(.watchful(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "10M")
                let data = Data.random(count: 2_000_000, seed: 8)
                try await swarm.put(data, to: "/f")
                try await swarm.waitFor("two copies") { try await swarm.k("/f") == 2 }
                for away in ["alpha", "bravo"] {
                    try await swarm.kill9(away)
                    // At once, while the master believes that it is up, and later.
                    #expect(try await swarm.read("/f") == data)
                    try await swarm.waitFor("\(away) suspect") { try await state(of: away, swarm) != .up }
                    #expect(try await swarm.read("/f") == data)
                    #expect(try await swarm.curl("/v1/files/f", "-L").body == data)
                    try await swarm.put("written while \(away) was away", to: "/\(away)")
                    try await swarm.waitFor("\(away) down") { try await state(of: away, swarm) == .down }
                    #expect(try await swarm.read("/f") == data)
                    try await swarm.restart(away)
                    try await swarm.waitFor("two copies of each") {
                        try await swarm.files().values.allSatisfy { $0.k == 2 }
                    }
                }
                try swarm.freeze("alpha")
                try await swarm.waitFor("alpha suspect") { try await state(of: "alpha", swarm) != .up }
                #expect(try await swarm.read("/f") == data)
                try swarm.thaw("alpha")
                try await swarm.waitFor("two copies of each, and alpha up") {
                    let steady = try await state(of: "alpha", swarm) == .up
                    return try await swarm.files().values.allSatisfy { $0.k == 2 } && steady
                }
                try await swarm.waitUntilConsistent([
                    "/f": data, "/alpha": Data("written while alpha was away".utf8),
                    "/bravo": Data("written while bravo was away".utf8),
                ])
            }
        }
    }
}
