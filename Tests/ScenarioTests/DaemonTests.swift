import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Daemons start, stop, and are killed.
    @Suite struct DaemonTests {
        private static var ownMongod: SwarmOptions {
            var options = SwarmOptions()
            options.database = .ownMongod
            return options
        }

        @Test func upStartsAWholeSwarmAndTakesItDownAgain() async throws {
            try await Swarm.run { swarm in
                let data = swarm.data(of: "up").path
                let arguments = ["up", "--slaves", "3", "--quota", "1M", "--data", data]
                let clean: [String: String?] = ["BRIM_PASSWORD_FILE": nil]

                /// The variables that it tells a user to export.
                func variables() async throws -> [String: String?] {
                    var found: [String: String?] = [:]
                    try await swarm.waitFor("brim up tells where it is") {
                        guard try swarm.process(of: "up").isRunning else { throw SwarmFailure("brim up ended") }
                        let log = try String(contentsOf: swarm.log(of: "up"), encoding: .utf8)
                        for name in ["BRIM_MASTER", "BRIM_PASSWORD_FILE"] {
                            guard let value = log.split(separator: "\(name)=").dropFirst().last else { return false }
                            found[name] = String(value.prefix { !$0.isWhitespace && $0 != "'" && $0 != "\"" })
                        }
                        return true
                    }
                    return found
                }

                try swarm.launch("up", arguments, environment: clean)
                var environment = try await variables()
                try await swarm.waitFor("three servers up") {
                    let result = try await swarm.cli(["status", "--json"], environment: environment)
                    guard result.status == 0 else { throw SwarmFailure("\(result)") }
                    return try result.json(StatusReply.self).servers.filter { $0.state == .up }.count == 3
                }
                let file = try #require(environment["BRIM_PASSWORD_FILE"] ?? nil)
                let attributes = try FileManager.default.attributesOfItem(atPath: file)
                #expect((attributes[.posixPermissions] as? Int).map { $0 & 0o777 } == 0o600)
                let put = try await swarm.cli(
                    ["put", "-", "/f"], input: Data("kept".utf8), environment: environment)
                #expect(put.status == 0, "\(put)")
                #expect(!swarm.leftovers().isEmpty, "no mongod")

                for round in 1...2 {
                    let process = try swarm.process(of: "up")
                    process.send(SIGTERM)
                    #expect(try await process.waitForExit(within: .seconds(20)) == .status(0))
                    try await swarm.waitFor("nothing left of brim up", within: .seconds(20)) {
                        swarm.leftovers().isEmpty
                    }
                    let log = try String(contentsOf: swarm.log(of: "up"), encoding: .utf8)
                    #expect(!log.contains("orders did not reach"), "\(log)")
                    guard round == 1 else { break }
                    // Once more with the same data.
                    try FileManager.default.removeItem(at: swarm.log(of: "up"))
                    try swarm.launch("up", arguments, environment: clean)
                    environment = try await variables()
                    try await swarm.waitFor("the file there again") {
                        let result = try await swarm.cli(["cat", "/f"], environment: environment)
                        guard result.status == 0 else { throw SwarmFailure("\(result)") }
                        return result.text == "kept"
                    }
                }
            }
        }

        @Test(arguments: ["up", "master"])
        func toldToStopWhileStartingItStops(command: String) async throws {
            try await Swarm.run { swarm in
                // A mongod that never becomes ready.
                let stuck = try swarm.scratchFile(Data("#!/bin/sh\nexec sleep 1000\n".utf8), named: "stuck")
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: stuck.path)
                let listen = "127.0.0.1:\(try Swarm.unusedPort())"
                for (signal, mongod) in [(SIGTERM, stuck.path), (SIGINT, stuck.path), (SIGTERM, nil), (SIGINT, nil)] {
                    let process = try swarm.launch(
                        command, [command, "--listen", listen, "--data", swarm.data(of: command).path],
                        environment: mongod.map { ["BRIM_MONGOD": $0] } ?? [:])
                    try await swarm.waitFor("mongod begins") {
                        guard process.isRunning else { throw SwarmFailure("it ended: \(process.stderr)") }
                        return swarm.leftovers().contains { pid in
                            let name = try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)
                            return name.map { $0.hasPrefix("sleep") || $0.hasPrefix("mongod") } ?? false
                        }
                    }
                    process.send(signal)
                    // Much less than the two minutes for which it would wait for mongod.
                    #expect(try await process.waitForExit(within: .seconds(20)) == .status(0))
                    try await swarm.waitFor("nothing left", within: .seconds(20)) { swarm.leftovers().isEmpty }
                }
                let log = try String(contentsOf: swarm.log(of: command), encoding: .utf8)
                #expect(!log.contains("error"), "\(log)")
            }
        }

        @Test func aKilledMasterTakesItsMongodAlong() async throws {
            try await Swarm.run(Self.ownMongod) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                try await swarm.put("kept", to: "/f")
                #expect(!swarm.leftovers().isEmpty, "no mongod")
                let counters = "/dev/shm/mongoc-\(try swarm.process(of: Swarm.master).pid)"
                try await swarm.kill9(Swarm.master)
                #expect(!FileManager.default.fileExists(atPath: counters), "left of libmongoc")
                try await swarm.waitFor("mongod and its guard gone", within: .seconds(30)) {
                    swarm.leftovers().isEmpty
                }
                try await swarm.restart(Swarm.master)
                try await swarm.waitUntilUp(["alpha"])
                try await swarm.put("new", to: "/g")
                try await swarm.waitUntilConsistent(["/f": Data("kept".utf8), "/g": Data("new".utf8)])

                try await swarm.stop(Swarm.master)
                try await swarm.waitFor("nothing left of the master", within: .seconds(20)) {
                    swarm.leftovers().isEmpty
                }
            }
        }

        @Test func aRestartedMasterFindsEverything() async throws {
            try await Swarm.run(Self.ownMongod) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                var contents: [String: Data] = [:]
                for index in 0..<5 {
                    let path = "/d\(index)/f"
                    contents[path] = Data.random(count: 1000 * index, seed: UInt64(index))
                    try await swarm.put(contents[path] ?? Data(), to: path)
                }
                try await swarm.brim("set", "/d1/f", "n=1", "popularity=9")
                try await swarm.waitUntilConsistent(contents)
                let before = try await swarm.files()
                try await swarm.stop(Swarm.master)
                try await swarm.restart(Swarm.master)
                try await swarm.waitUntilUp(["alpha", "bravo"])
                try await swarm.waitUntilConsistent(contents)
                let after = try await swarm.files()
                for (path, file) in before {
                    let now = try #require(after[path])
                    #expect(now.id == file.id && now.blob == file.blob && now.version == file.version)
                    #expect(now.n == file.n && now.attributes == file.attributes && now.modified == file.modified)
                    #expect(now.k == 2)
                }
            }
        }

        @Test func aMongodThatDiesIsStartedAgain() async throws {
            try await Swarm.run(Self.ownMongod) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                try await swarm.put("kept", to: "/f")
                #expect(try await swarm.endMongod(SIGKILL))
                try await swarm.waitFor("the file read again") {
                    try await swarm.tryPut(Data("more".utf8), to: "/g").status == 0
                }
                try await swarm.waitUntilConsistent(["/f": Data("kept".utf8), "/g": Data("more".utf8)])
            }
        }

        @Test func killedSlavesKeepWhatTheyHaveAndTidyUp() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "100M")
                let data = Data.random(count: 500_000, seed: 11)
                try await swarm.put(data, to: "/f")
                // An upload in the middle of which both die.
                let large = try swarm.scratchFile(Data.random(count: 20 << 20, seed: 12), named: "large")
                async let upload = swarm.shell(
                    "curl -sS -L --limit-rate 1M -H \"Authorization: Bearer $(brim token)\""
                        + " -T \(large.path) \(swarm.url)/v1/files/large")
                try await swarm.waitFor("bytes on their way") {
                    let incoming = swarm.data(of: "alpha").appending(path: "incoming").path
                    let other = swarm.data(of: "bravo").appending(path: "incoming").path
                    return try !FileManager.default.contentsOfDirectory(atPath: incoming).isEmpty
                        || !FileManager.default.contentsOfDirectory(atPath: other).isEmpty
                }
                for slave in ["alpha", "bravo"] { try await swarm.kill9(slave) }
                _ = try await upload
                for slave in ["alpha", "bravo"] { try await swarm.restart(slave) }
                #expect(try await !swarm.exists("/large"))
                for slave in ["alpha", "bravo"] {
                    let incoming = swarm.data(of: slave).appending(path: "incoming").path
                    #expect(try FileManager.default.contentsOfDirectory(atPath: incoming).isEmpty)
                }
                try await swarm.waitUntilConsistent(["/f": data])
            }
        }

        @Test func aSlaveRemembersWhichQuotaWasSetLast() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                try await swarm.brim("server", "quota", "alpha", "2M")
                try await swarm.stop("alpha")
                // The flag it had before says nothing new.
                try await swarm.restart("alpha")
                #expect(try await swarm.server("alpha").quota == 2_000_000)
                try await swarm.stop("alpha")
                try await swarm.restart("alpha", quota: "3M")
                #expect(try await swarm.server("alpha").quota == 3_000_000)
            }
        }
    }
}
