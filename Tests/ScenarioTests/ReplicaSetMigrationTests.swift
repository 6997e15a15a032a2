import BrimMetadata
import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import MongoDriver
import Synchronization
import Testing

extension ScenarioTests {
    /// The guide "From one master to three" of docs/deployment.md, step by step, and a new set of three. All machines are this
    /// one here, so members have ports instead of names of their own.
    @Suite struct ReplicaSetMigrationTests {
        private static let servers = ["alpha", "bravo", "charlie"]

        private static func options() -> SwarmOptions {
            var options = SwarmOptions(["--copies", "2"])
            options.database = .ownMongod
            return options
        }

        /// Three machines on which members are to run.
        private struct Machines {
            let ports: [Int]
            var list: String { ports.map { "127.0.0.1:\($0)" }.joined(separator: ",") }

            init() throws { ports = try (0..<3).map { _ in try Swarm.unusedPort() } }

            static func member(_ number: Int) -> String { "mongod-\(number + 1)" }
            static func master(_ number: Int) -> String { number == 0 ? Swarm.master : "master-\(number + 1)" }

            /// `brim mongod run` there.
            func startMember(_ number: Int, _ swarm: Swarm, _ flags: [String] = []) throws {
                try swarm.launch(
                    Self.member(number),
                    [
                        "mongod", "run", "--members", list, "--listen", "127.0.0.1:\(ports[number])", "--data",
                        swarm.data(of: Self.master(number)).path,
                    ] + flags)
            }

            /// Its disk is lost.
            func erase(_ number: Int, _ swarm: Swarm) throws {
                try FileManager.default.removeItem(
                    at: swarm.data(of: Self.master(number)).appending(path: "mongodb"))
            }

            func status(_ swarm: Swarm) async throws -> CommandResult {
                try await swarm.cli(["mongod", "status", "--members", list])
            }

            /// `brim mongod status`, until it says that all is well.
            func waitUntilWell(_ swarm: Swarm) async throws {
                var last: CommandResult?
                do {
                    try await swarm.waitFor("all members are well", within: .seconds(180)) {
                        let result = try await status(swarm)
                        last = result
                        return result.status == 0
                    }
                } catch {
                    throw SwarmFailure("\(last.map { "\($0)" } ?? "no status")\n\(error)")
                }
            }
        }

        /// How far a reader is.
        private final class Reading: Sendable {
            private let state = Mutex((count: 0, isOver: false))
            var count: Int { state.withLock { $0.count } }
            var isOver: Bool { state.withLock { $0.isOver } }
            func did() { state.withLock { $0.count += 1 } }
            func end() { state.withLock { $0.isOver = true } }
        }

        /// Reads the files of a swarm, one after the other, while `body` runs; each must be there, whatever happens.
        private static func reading(
            _ swarm: Swarm, _ contents: [String: Data], _ body: () async throws -> Void
        ) async throws {
            let reading = Reading()
            let contents = contents.sorted { $0.key < $1.key }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    while !reading.isOver {
                        let (path, data) = contents[reading.count % contents.count]
                        let result = try await swarm.cli(["cat", path])
                        guard result.status == 0, result.stdout == data else {
                            Issue.record("\(path) could not be read meanwhile: \(result)")
                            return
                        }
                        reading.did()
                        try await Task.sleep(for: .milliseconds(100))
                    }
                }
                defer { reading.end() }
                try await body()
                reading.end()
                try await group.waitForAll()
            }
            #expect(reading.count > 0)
        }

        @Test func fromOneMasterToThree() async throws {
            try await Swarm.run(Self.options()) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "10M")
                var contents: [String: Data] = [:]
                for number in 0..<12 {
                    let (path, data) = ("/d\(number % 3)/f\(number)", Data.random(count: 5000, seed: UInt64(number)))
                    try await swarm.put(data, to: path)
                    contents[path] = data
                }
                try await swarm.put("gone", to: "/removed")
                try await swarm.brim("rm", "/removed")
                try await swarm.brim("set", "/d0/f0", "mood=blue")
                try await swarm.waitUntilAtRest(Self.servers)
                for path in contents.keys {
                    try await OfflineReadTests.waitUntilCopied(swarm, path, path: path, on: Self.servers) { _ in true }
                }
                let (machines, before) = (try Machines(), contents)

                try await Self.reading(swarm, before) {
                    // 1. On the first machine: the master's own mongod becomes a member, and the master one of several.
                    let arguments = try swarm.arguments(of: Swarm.master)
                    try await swarm.stop(Swarm.master)
                    try machines.startMember(0, swarm)
                    try swarm.launch(Swarm.master, arguments + ["--mongodb", machines.list])
                    try await swarm.waitUntilReady(Swarm.master)
                    try await Self.write(swarm, "/one", &contents)

                    // 2. On the other two, their members; they copy the data.
                    #expect(try await machines.status(swarm).status == 1)
                    try machines.startMember(1, swarm)
                    try machines.startMember(2, swarm)
                    // 3. Until all is well.
                    try await machines.waitUntilWell(swarm)
                    try await Self.write(swarm, "/three", &contents)

                    // 4. Their masters.
                    for number in 1...2 {
                        try await swarm.startMaster(named: Machines.master(number), mongodb: machines.list)
                    }
                    try await Self.write(swarm, "/masters", &contents)
                    // 5. Slaves are told of all masters.
                    for server in Self.servers {
                        try await swarm.stop(server)
                        try await swarm.restart(server, ["--master", swarm.masterList])
                    }
                }

                let uri = try await swarm.brim("mongod", "uri", "--members", machines.list).text
                swarm.databaseMoved(to: uri.trimmingCharacters(in: .whitespacesAndNewlines))
                #expect(try await Self.hasItsTimes(uri))
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(contents)
                #expect(try await swarm.stat("/d0/f0").attributes["mood"] == .string("blue"))
                try await swarm.brim("undelete", "/removed")
                contents["/removed"] = Data("gone".utf8)

                // The machine with which it began is lost.
                try await swarm.kill9(Swarm.master)
                try await swarm.kill9(Machines.member(0))
                try await swarm.waitFor("files are written without it", within: .seconds(120)) {
                    try await swarm.tryPut(Data("without".utf8), to: "/without").status == 0
                }
                contents["/without"] = Data("without".utf8)
                for (path, data) in contents { #expect(try await swarm.read(path) == data, "\(path)") }

                // Its data is a member's: a master alone would lead a life of its own on it.
                let alone = try await swarm.cli(
                    ["master", "--listen", "127.0.0.1:0", "--data", swarm.data(of: Swarm.master).path])
                #expect(alone.status == 1 && alone.stderr.contains("belongs to a replica set"), "\(alone)")

                // It comes back, and catches up.
                try machines.startMember(0, swarm)
                try await machines.waitUntilWell(swarm)
                try swarm.relaunch(Swarm.master)
                try await swarm.waitUntilReady(Swarm.master)
                try await swarm.waitUntilUp(Self.servers)
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(contents)
            }
        }

        /// Whether a set takes silent members for gone as soon as it should.
        private static func hasItsTimes(_ uri: String) async throws -> Bool {
            let client = try MongoClient(uri: uri.trimmingCharacters(in: .whitespacesAndNewlines))
            let reply = try await client.database("admin").runCommand(["replSetGetConfig": 1])
            await client.close()
            let settings = reply["config"]?.documentValue?["settings"]?.documentValue ?? [:]
            return ReplicaSetTimes.settings.allSatisfy { settings[$0.key]?.int64Value == $0.value.int64Value }
        }

        private static func write(_ swarm: Swarm, _ path: String, _ contents: inout [String: Data]) async throws {
            let data = Data("written to \(path)".utf8)
            try await swarm.waitFor("a write succeeds") { try await swarm.tryPut(data, to: path).status == 0 }
            contents[path] = data
        }

        /// All at once, as after a power cut, in any order; masters come up before there is a user for them.
        @Test func threeNewMachines() async throws {
            try await Swarm.run(Self.options()) { swarm in
                let machines = try Machines()
                for number in [2, 0, 1] { try machines.startMember(number, swarm) }
                for number in 0...2 {
                    try await swarm.startMaster(named: Machines.master(number), mongodb: machines.list)
                }
                try await machines.waitUntilWell(swarm)
                let uri = try await swarm.brim("mongod", "uri", "--members", machines.list).text
                swarm.databaseMoved(to: uri.trimmingCharacters(in: .whitespacesAndNewlines))
                #expect(try await Self.hasItsTimes(uri))
                try await swarm.startSlaves(Self.servers, quota: "1M")
                try await swarm.put("text", to: "/f")
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(["/f": Data("text".utf8)])
                try await Self.copyTheMetadata(swarm, machines)

                // Nobody is let in without the password.
                let stranger = try await swarm.cli(
                    ["mongod", "status", "--members", machines.list],
                    environment: ["BRIM_PASSWORD_FILE": nil, "BRIM_PASSWORD": "another"])
                #expect(stranger.status == 1 && !stranger.stderr.contains("secondary"), "\(stranger)")
                // The data directory has an owner.
                let second = try await swarm.cli(
                    ["master", "--listen", "127.0.0.1:0", "--data", swarm.data(of: Swarm.master).path])
                #expect(second.status == 1 && second.stderr.contains("in use"), "\(second)")
            }
        }

        /// Commands that use the database without a master are told where it is as masters are.
        private static func copyTheMetadata(_ swarm: Swarm, _ machines: Machines) async throws {
            let file = swarm.scratch.appending(path: "backup.gz").path
            let arguments = try swarm.arguments(of: "alpha")
            let slave = arguments[try #require(arguments.firstIndex(of: "--listen")) + 1]
            for command in [
                ["backup", file], ["restore", file, "--database", "restored"],
                ["recover", "--slaves", slave, "--apply", "--database", "recovered"],
            ] {
                let result = try await swarm.cli(command + ["--mongodb", machines.list])
                #expect(result.status == 0, "\(command): \(result)")
            }
            // It may tell of all metadata: it is for its owner.
            let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            for database in ["restored", "recovered"] {
                let full = try await swarm.cli(
                    ["restore", file, "--json", "--database", database], environment: ["BRIM_MONGODB": machines.list])
                #expect(try full.status == 1 && full.error().code == .notEmpty, "\(database): \(full)")
            }
            let wrong = try await swarm.cli(["backup", file, "--mongodb", "http://m1"])
            #expect(wrong.status == 2 && wrong.stderr.contains("is no MongoDB URI"), "\(wrong)")
        }

        /// Two of three are lost with their disks.
        @Test func theOneThatIsLeftGoesOnAlone() async throws {
            try await Swarm.run(Self.options()) { swarm in
                let machines = try Machines()
                for number in 0...2 { try machines.startMember(number, swarm) }
                try await machines.waitUntilWell(swarm)
                try await swarm.startMaster(named: Swarm.master, mongodb: machines.list)
                try await swarm.brim("mkdir", "/before")
                for number in 0...1 {
                    try await swarm.kill9(Machines.member(number))
                    try machines.erase(number, swarm)
                }
                try await swarm.stop(Machines.member(2))
                try machines.startMember(2, swarm, ["--sole-survivor"])
                try await swarm.waitFor("something can be written again", within: .seconds(120)) {
                    try await swarm.cli(["mkdir", "-p", "/alone"]).status == 0
                }
                for number in 0...1 { try machines.startMember(number, swarm) }
                try await machines.waitUntilWell(swarm)

                // The others are as good as the one that was left.
                try await swarm.kill9(Machines.member(2))
                try await swarm.waitFor("something can be written without it", within: .seconds(120)) {
                    try await swarm.cli(["mkdir", "-p", "/after"]).status == 0
                }
                #expect(try await swarm.brim("ls", "/").text.split(separator: "\n").count == 3)
            }
        }

        @Test func wrongUse() async throws {
            try await Swarm.run(Self.options()) { swarm in
                let port = try Swarm.unusedPort()
                let wrong: [(arguments: [String], status: Int32, says: String)] = [
                    ([], 2, "--members"),
                    (["--members", "127.0.0.1:1", "--listen", "127.0.0.1:\(port)"], 1, "--advertise"),
                    (["--members", "192.0.2.1:\(port)", "--listen", "127.0.0.1:\(port)"], 1, "--advertise"),
                    (["--members", "m1", "--advertise", "m2"], 2, "none of the members"),
                    (["--members", "127.0.0.1:\(port)", "--cache", "1M"], 2, "256MiB"),
                ]
                for case let (arguments, status, says) in wrong {
                    let result = try await swarm.cli(
                        ["mongod", "run", "--data", swarm.scratch.appending(path: "data").path] + arguments)
                    #expect(result.status == status && result.stderr.contains(says), "\(result)")
                }
                let uri = try await swarm.cli(["master", "--mongodb", "http://m1:27017"])
                #expect(uri.status == 2 && uri.stderr.contains("is no MongoDB URI"), "\(uri)")
            }
        }
    }
}
