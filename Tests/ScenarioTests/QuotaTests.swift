import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Disks of a few bytes, filled to the brim.
    @Suite struct QuotaTests {
        private static func five(_ letter: Character) -> Data { Data(String(repeating: letter, count: 5).utf8) }

        /// The counted copies of all files together.
        private func copies(_ swarm: Swarm) async throws -> Int {
            try await swarm.files().values.reduce(0) { $0 + ($1.k ?? 0) }
        }

        private func waitUntilAtRest(_ swarm: Swarm, copies expected: Int) async throws {
            try await swarm.waitFor("\(expected) copies, and rest") {
                let status = try await swarm.status()
                let copies = try await copies(swarm)
                return copies == expected && status.atRest && status.copying == 0
            }
        }

        @Test func spareCopiesAppearGiveWayAndNeverSwap() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "10")
                try await swarm.holdingQuotas {
                    var contents: [String: Data] = [:]
                    func put(_ letter: Character) async throws {
                        contents["/\(letter)"] = Self.five(letter)
                        try await swarm.put(Self.five(letter), to: "/\(letter)")
                    }
                    // One copy is wanted, and there is room for two.
                    try await put("a")
                    try await waitUntilAtRest(swarm, copies: 2)
                    try await put("b")
                    try await waitUntilAtRest(swarm, copies: 4)
                    #expect(try await swarm.status().minSurplus == 1)
                    #expect(try await swarm.allHolders().values.allSatisfy { $0 == ["alpha", "bravo"] })
                    try await swarm.waitUntilConsistent(contents)

                    // Full of spare copies: one gives way. The three files then share room for four copies.
                    try await put("c")
                    try await waitUntilAtRest(swarm, copies: 4)
                    try await swarm.hold("who holds what", for: .seconds(5)) { try await swarm.allHolders() }
                    try await swarm.waitUntilConsistent(contents)

                    try await put("d")
                    try await waitUntilAtRest(swarm, copies: 4)
                    let status = try await swarm.status()
                    #expect(status.minSurplus == 0 && status.maxSurplus == 0)
                    try await swarm.hold("who holds what", for: .seconds(5)) { try await swarm.allHolders() }

                    // What is removed makes room for spare copies again.
                    try await swarm.brim("rm", "/a", "/b")
                    contents["/a"] = nil
                    contents["/b"] = nil
                    try await waitUntilAtRest(swarm, copies: 4)
                    #expect(try await swarm.status().minSurplus == 1)
                    try await swarm.waitUntilConsistent(contents)
                }
            }
        }

        @Test func aFullSwarmRefusesAndLosesNothing() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "10")
                try await swarm.holdingQuotas {
                    var contents: [String: Data] = [:]
                    for letter in "abcd" {
                        contents["/\(letter)"] = Self.five(letter)
                        try await swarm.put(Self.five(letter), to: "/\(letter)")
                    }
                    try await waitUntilAtRest(swarm, copies: 4)

                    let refused = try await swarm.tryPut(Self.five("e"), to: "/e", ["--json"])
                    #expect(refused.status == 1)
                    let error = try refused.error()
                    #expect(error.code == .full)
                    #expect(error.message.contains("5 B") || error.message.contains("5 bytes"), "\(error)")
                    #expect(error.advice?.isEmpty == false)
                    let told = try await swarm.tryPut(Self.five("e"), to: "/e")
                    #expect(told.status == 1 && told.stderr.hasPrefix("brim: "), "\(told)")

                    _ = try swarm.scratchFile(Self.five("e"), named: "e")
                    let http = try await swarm.curl("/v1/files/e", "-L", "-T", "e")
                    #expect(http.status == 507)
                    #expect(try http.error().code == .full)
                    // A file that could never fit, and one whose length is told by nobody.
                    let large = try await swarm.tryPut(Data.random(count: 11, seed: 9), to: "/large", ["--json"])
                    #expect(try large.error().code == .full)
                    let streamed = try await swarm.cli(["put", "--json", "-", "/s"], input: Self.five("s"))
                    #expect(streamed.status == 1)
                    #expect(try streamed.error().code == .full)
                    // An overwrite needs room for both versions.
                    let overwrite = try await swarm.tryPut(Self.five("x"), to: "/a", ["--json"])
                    #expect(try overwrite.error().code == .full)
                    // More copies than there is room for: whole or not at all.
                    let twice = try await swarm.tryPut(Self.five("t"), to: "/t", ["--json", "-n", "2"])
                    #expect(try twice.error().code == .full)
                    try await swarm.waitUntilConsistent(contents)
                    #expect(try await swarm.stat("/a").version == 1)

                    // A file without bytes always fits.
                    try await swarm.put("", to: "/empty")
                    contents["/empty"] = Data()
                    // Room is made: the same import succeeds.
                    try await swarm.brim("rm", "/b")
                    contents["/b"] = nil
                    try await swarm.put(Self.five("e"), to: "/e")
                    contents["/e"] = Self.five("e")
                    try await swarm.waitUntilConsistent(contents)
                }
            }
        }

        @Test func aNewServerTakesTheNeediest() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "10")
                try await swarm.put(Self.five("n"), to: "/needy", "-n", "3")
                try await swarm.put(Self.five("s"), to: "/spare")
                try await waitUntilAtRest(swarm, copies: 4)
                #expect(try await swarm.stat("/needy").surplus == -1)
                #expect(try await swarm.stat("/spare").surplus == 1)
                let contents = ["/needy": Self.five("n"), "/spare": Self.five("s")]

                try await swarm.startSlave("charlie", quota: "5")
                try await waitUntilAtRest(swarm, copies: 5)
                #expect(try await swarm.holders("/needy") == ["alpha", "bravo", "charlie"])
                #expect(try await swarm.holders("/spare") == ["alpha", "bravo"])
                try await swarm.hold("who holds what", for: .seconds(5)) { try await swarm.allHolders() }

                try await swarm.brim("server", "quota", "charlie", "10")
                try await waitUntilAtRest(swarm, copies: 6)
                try await swarm.waitUntilConsistent(contents)
            }
        }

        @Test func aFileThatIsWantedMoreTakesTheRoomOfSpareCopies() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "10")
                for letter in "abc" { try await swarm.put(Self.five(letter), to: "/\(letter)") }
                // Six places for three files.
                try await waitUntilAtRest(swarm, copies: 6)
                #expect(try await swarm.files().values.allSatisfy { $0.k == 2 })
                try await swarm.holdingQuotas {
                    try await swarm.brim("set", "/a", "n=3")
                    try await swarm.waitFor("three copies of /a") { try await swarm.k("/a") == 3 }
                    try await waitUntilAtRest(swarm, copies: 6)
                    try await swarm.hold("who holds what", for: .seconds(5)) { try await swarm.allHolders() }
                    #expect(try await swarm.status().minSurplus == 0)
                    try await swarm.waitUntilConsistent(
                        Dictionary(uniqueKeysWithValues: "abc".map { ("/\($0)", Self.five($0)) }))
                }
            }
        }

        @Test func quotasAreRaisedAndLoweredWhileAllRuns() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "30")
                var contents: [String: Data] = [:]
                for letter in "abcdef" {
                    contents["/\(letter)"] = Self.five(letter)
                    try await swarm.put(Self.five(letter), to: "/\(letter)")
                }
                try await waitUntilAtRest(swarm, copies: 12)

                let lowered = try await swarm.brim("server", "quota", "--json", "alpha", "12").json(ServerStatus.self)
                #expect(lowered.quota == 12)
                #expect(try await swarm.server("alpha").quota == 12)
                try await swarm.waitFor("alpha within its quota") { try await swarm.server("alpha").used <= 12 }
                try await waitUntilAtRest(swarm, copies: 8)
                try await swarm.waitUntilConsistent(contents)

                try await swarm.brim("server", "quota", "alpha", "1K")
                #expect(try await swarm.server("alpha").quota == 1000)
                try await waitUntilAtRest(swarm, copies: 12)
                try await swarm.waitUntilConsistent(contents)
            }
        }

        @Test func aQuotaBelowWhatIsWantedWaitsForRoomElsewhere() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "20")
                var contents: [String: Data] = [:]
                for letter in "abcd" {
                    contents["/\(letter)"] = Self.five(letter)
                    try await swarm.put(Self.five(letter), to: "/\(letter)")
                }
                try await waitUntilAtRest(swarm, copies: 8)
                // No copy is spare: use cannot fall, and nothing may be lost. Use never rises either.
                try await swarm.brim("server", "quota", "alpha", "10")
                let used = try await swarm.server("alpha").used
                #expect(used == 20)
                try await swarm.hold("who holds what", for: .seconds(3)) { try await swarm.allHolders() }
                #expect(try await swarm.tryPut(Self.five("e"), to: "/e").status == 1)
                for (path, data) in contents { #expect(try await swarm.read(path) == data) }

                try await swarm.startSlave("charlie", quota: "1K")
                try await swarm.waitFor("alpha within its quota") { try await swarm.server("alpha").used <= 10 }
                try await swarm.waitUntilConsistent(contents)
                #expect(try await swarm.status().minSurplus == 0)
            }
        }

        /// Random writes, overwrites, removals and wishes on three small disks, with the seed of the failure in its
        /// message. `BRIM_TEST_SEED` takes one.
        @Test func anyMixtureOfOperationsKeepsAllQuotasAndAllFiles() async throws {
            let given = ProcessInfo.processInfo.environment["BRIM_TEST_SEED"].flatMap { UInt64($0) }
            let seed = given ?? UInt64.random(in: 0..<1_000_000)
            var random = SeededRandom(seed: seed)
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "30")
                var contents: [String: Data] = [:]
                var history = ["seed \(seed)"]
                do {
                    try await swarm.holdingQuotas {
                        for step in 0..<40 {
                            let path = "/f\(Int.random(in: 0..<12, using: &random))"
                            let data = Data.random(
                                count: .random(in: 0...9, using: &random), seed: seed &+ UInt64(step))
                            switch Int.random(in: 0..<10, using: &random) {
                            case 0..<6:
                                let result = try await swarm.tryPut(data, to: path, ["--json"])
                                if result.status == 0 {
                                    contents[path] = data
                                } else if try result.error().code != .full {
                                    throw SwarmFailure("\(result)")
                                }
                                history.append("put \(path) \(data.count): \(result.status)")
                            case 6..<8 where contents[path] != nil:
                                try await swarm.brim("rm", path)
                                contents[path] = nil
                                history.append("rm \(path)")
                            case 8... where contents[path] != nil:
                                let n = Int.random(in: 1...3, using: &random)
                                try await swarm.brim("set", path, "n=\(n)")
                                history.append("set \(path) n=\(n)")
                            default: continue
                            }
                        }
                    }
                    try await swarm.waitFor("rest") { try await swarm.status().atRest }
                    try await swarm.waitUntilConsistent(contents)
                    try await swarm.hold("who holds what", for: .seconds(5)) { try await swarm.allHolders() }
                } catch {
                    throw SwarmFailure("\(history.joined(separator: "; "))\n\(error)")
                }
            }
        }
    }
}
