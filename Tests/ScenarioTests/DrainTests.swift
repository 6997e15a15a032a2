import BrimClient
import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Servers that are emptied, and struck off.
    @Suite struct DrainTests {
        private static let servers = ["alpha", "bravo", "charlie", "delta"]

        private func fill(_ count: Int, bytes: Int, _ swarm: Swarm) async throws -> [String: Data] {
            var contents: [String: Data] = [:]
            for index in 0..<count {
                let data = Data.random(count: bytes + index, seed: UInt64(index))
                try await swarm.put(data, to: "/f\(index)")
                contents["/f\(index)"] = data
            }
            return contents
        }

        private func waitUntilAll(_ k: Int, _ swarm: Swarm) async throws {
            try await swarm.waitFor("\(k) counted copies of every file") {
                try await swarm.files().values.allSatisfy { $0.k == k }
            }
        }

        /// Waits until a slave has ended because its swarm forgot it.
        private func expectFarewell(_ name: String, _ swarm: Swarm) async throws {
            let exit = try await swarm.process(of: name).waitForExit(within: .seconds(60))
            #expect(exit == .status(1))
            let log = try String(contentsOf: swarm.log(of: name), encoding: .utf8)
            #expect(log.contains("was forgotten") && log.contains("--data"), "\(log.suffix(2000))")
        }

        private func refusal(_ swarm: Swarm, _ arguments: String...) async throws -> BrimError {
            let result = try await swarm.cli(["server"] + arguments + ["--json"])
            #expect(result.status == 1, "\(result)")
            return try result.error()
        }

        @Test func oneOfFourIsEmptiedAndForgotten() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2", "--max-copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "1M")
                var contents = try await fill(12, bytes: 5000, swarm)
                try await waitUntilAll(2, swarm)
                let held = try await swarm.allHolders().filter { $0.value.contains("alpha") }.count
                try #require(held > 0)

                let error = try await refusal(swarm, "forget", "alpha")
                #expect(error.code == .conflict && error.advice?.contains("drain") == true, "\(error)")

                let drained = try await swarm.brim("server", "drain", "alpha", "--json").json(ServerStatus.self)
                #expect(drained.state == .draining)
                let drain = try #require(drained.drain)
                #expect(drain.safeFiles + drain.remainingFiles == Int64(held), "\(drain)")
                try await swarm.put("written meanwhile", to: "/new")
                contents["/new"] = Data("written meanwhile".utf8)
                try await swarm.waitFor("all is safe elsewhere") {
                    let status = try await swarm.server("alpha")
                    return status.drain.map { $0.remainingFiles == 0 && $0.safeFiles == Int64(held) } ?? false
                }
                try await waitUntilAll(2, swarm)
                for (path, holders) in try await swarm.allHolders() {
                    #expect(holders.filter { $0 != "alpha" }.count == 2, "\(path) is on \(holders)")
                }
                #expect(try await !swarm.holders("/new").contains("alpha"))
                #expect(try await swarm.brim("status").text.contains("safe elsewhere"))
                #expect(try await swarm.brim("where", "/f0").text.isEmpty == false)
                try await swarm.waitUntilConsistent(contents)

                // It is remembered by MongoDB, not by daemons.
                try await swarm.stop(Swarm.master)
                try await swarm.restart(Swarm.master)
                #expect(try await swarm.server("alpha").state == .draining)
                try await swarm.waitUntilUp(["bravo", "charlie", "delta"])
                try await swarm.waitFor("counted again") {
                    try await swarm.server("alpha").drain?.safeFiles == Int64(held)
                }

                let result = try await swarm.brim("server", "forget", "alpha")
                #expect(result.text == "alpha: forgotten")
                #expect(try await swarm.status().servers.map(\.name.rawValue) == ["bravo", "charlie", "delta"])
                #expect(try await swarm.allHolders().values.allSatisfy { !$0.contains("alpha") })
                try await expectFarewell("alpha", swarm)
                try swarm.relaunch("alpha")
                try await expectFarewell("alpha", swarm)
                try await swarm.waitUntilConsistent(contents)
                #expect(try await refusal(swarm, "forget", "alpha").code == .notFound)
            }
        }

        @Test func whatOnlyItHasIsReadFromItAndKeepsItFromBeingForgotten() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1", "--max-copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "10K")
                let contents = try await fill(5, bytes: 100, swarm)
                try await swarm.startSlave("bravo", quota: "10")

                let drain = try #require(try await swarm.client().drain(try ServerName(validating: "alpha")).drain)
                #expect(drain.safeFiles == 0 && drain.remainingFiles == 5 && drain.remainingBytes == 510, "\(drain)")
                for (path, data) in contents { #expect(try await swarm.read(path) == data) }
                try await swarm.waitFor("their copies do not count") { try await swarm.status().minSurplus == -1 }
                #expect(try await swarm.status().unreachable == 0)
                let error = try await refusal(swarm, "forget", "alpha")
                #expect(error.code == .conflict)
                for path in contents.keys { #expect(error.message.contains(path), "\(error)") }
                #expect(error.message.hasPrefix("5 files"), "\(error)")
                #expect(try await swarm.tryPut(Data("more than ten".utf8), to: "/x").status == 1)

                try await swarm.brim("server", "quota", "bravo", "10K")
                try await swarm.waitFor("all copied") { try await swarm.server("alpha").drain?.remainingFiles == 0 }
                #expect(try await swarm.server("alpha").drain?.etaSeconds == 0)
                // Stopped or not, it can be forgotten.
                try await swarm.stop("alpha")
                try await swarm.brim("server", "forget", "alpha", "--json")
                try await swarm.waitUntilConsistent(contents)
                #expect(try await swarm.allHolders().values.allSatisfy { $0 == ["bravo"] })
                try swarm.relaunch("alpha")
                try await expectFarewell("alpha", swarm)
            }
        }

        @Test func theLastThatCountsStaysAndUndrainCountsWithoutCopying() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                let alone = try await refusal(swarm, "drain", "alpha")
                #expect(alone.code == .conflict && alone.message.contains("last server"), "\(alone)")
                try await swarm.startSlaves(["bravo", "charlie"], quota: "1M")
                let contents = try await fill(6, bytes: 1000, swarm)
                try await waitUntilAll(3, swarm)
                let blobs = try ["alpha", "bravo", "charlie"].map { try swarm.blobs(on: $0) }

                try await swarm.brim("server", "drain", "charlie")
                let since = try await swarm.server("charlie").drain?.since
                try await waitUntilAll(2, swarm)
                try await swarm.brim("server", "drain", "charlie")
                #expect(try await swarm.server("charlie").drain?.since == since)
                try await swarm.brim("server", "drain", "bravo")
                #expect(try await refusal(swarm, "drain", "alpha").code == .conflict)
                try await waitUntilAll(1, swarm)
                for (path, data) in contents { #expect(try await swarm.read(path) == data) }

                try await swarm.brim("server", "undrain", "bravo")
                try await swarm.brim("server", "undrain", "charlie")
                try await swarm.brim("server", "undrain", "charlie")
                #expect(try await swarm.server("charlie").state == .up)
                #expect(try await swarm.server("charlie").drain == nil)
                try await waitUntilAll(3, swarm)
                try await swarm.waitUntilConsistent(contents)
                #expect(
                    try ["alpha", "bravo", "charlie"].map { try swarm.blobs(on: $0) } == blobs, "something was copied")
            }
        }

        @Test func aBrokenServerIsForgottenWithWhatOnlyItHad() async throws {
            try await Swarm.run(.watchful(["--copies", "1", "--max-copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "10K")
                let lost = try await fill(25, bytes: 10, swarm)
                try await swarm.startSlave("bravo", quota: "10K")
                try await swarm.put("kept", to: "/kept")
                try #require(try await swarm.holders("/kept") == ["bravo"])

                try await swarm.kill9("alpha")
                #expect(try await refusal(swarm, "forget", "alpha").code == .conflict, "it counts still")
                try await swarm.waitFor("alpha down") { try await swarm.server("alpha").state == .down }
                let error = try await refusal(swarm, "forget", "alpha")
                #expect(error.code == .conflict && error.message.hasPrefix("25 files"), "\(error)")
                #expect(error.message.split(separator: "/f").count == 21 && error.message.hasSuffix("…"), "\(error)")
                let reply = try await swarm.brim("server", "forget", "alpha", "--lose-data", "--json")
                    .json(ForgetReply.self)
                #expect(reply.lostFiles == 25)
                try await swarm.waitFor("they are unreachable") {
                    let status = try await swarm.status()
                    return status.unreachable == 25 && status.minSurplus == 0
                }
                #expect(try await swarm.stat("/f0").replicas == [])
                let result = try await swarm.cli(["rm"] + lost.keys)
                #expect(result.status == 0, "\(result)")
                try await swarm.waitUntilConsistent(["/kept": Data("kept".utf8)])

                // Its directory does not come back; its name may be used anew.
                try swarm.relaunch("alpha")
                try await expectFarewell("alpha", swarm)
                try FileManager.default.moveItem(
                    at: swarm.data(of: "alpha"), to: swarm.scratch.appending(path: "attic"))
                try await swarm.restart("alpha")
                try await swarm.put("a text that goes to the emptier of the two", to: "/next")
                #expect(try await swarm.holders("/next") == ["alpha"])
            }
        }

        @Test func manyThatFellSilentAreGoneWhenAPersonSaysSo() async throws {
            try await Swarm.run(.watchful(["--copies", "2", "--max-copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "1M")
                let contents = try await fill(8, bytes: 1000, swarm)
                try await waitUntilAll(2, swarm)
                for name in ["alpha", "bravo"] { try swarm.freeze(name) }
                try await swarm.waitFor("both held back") {
                    try await swarm.status().servers.filter(\.heldBack).map(\.name.rawValue) == ["alpha", "bravo"]
                }
                #expect(try await swarm.brim("servers").text.contains("others fell silent with it"))
                #expect(try await refusal(swarm, "forget", "alpha").code == .conflict)
                try await swarm.brim("server", "drain", "alpha")
                try await swarm.waitFor("the other is alone, and down") {
                    let (alpha, bravo) = (try await swarm.server("alpha"), try await swarm.server("bravo"))
                    return alpha.drain?.state == .down && bravo.state == .down && !bravo.heldBack
                }
                for name in ["alpha", "bravo"] { try swarm.thaw(name) }
                try await swarm.waitUntilUp(["bravo"])
                try await swarm.brim("server", "undrain", "alpha")
                try await swarm.waitUntilUp(["alpha"])
                // Files that lay on one of the two have a third copy now.
                try await swarm.waitFor("nothing at risk") {
                    try await swarm.status().minSurplus.map { $0 >= 0 } ?? false
                }
                try await swarm.waitUntilConsistent(contents)
            }
        }
    }
}
