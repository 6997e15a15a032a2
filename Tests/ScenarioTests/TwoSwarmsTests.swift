import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// A master, or a slave, that was given what is another swarm's.
    @Suite struct TwoSwarmsTests {
        private static let servers = ["alpha", "bravo"]

        /// Everything in the swarm's database but what its master and slaves write all the time.
        private static func database(_ swarm: Swarm) async throws -> [String] {
            try await swarm.withDatabase { database in
                var lines: [String] = []
                let found = try await database.listCollections()
                for name in found.compactMap({ $0["name"]?.stringValue }).sorted() {
                    lines.append("\(name): \(found.first { $0["name"] == .string(name) }?["options"] ?? .null)")
                    guard found.contains(where: { $0["name"] == .string(name) && $0["type"] == "collection" }),
                        !["system.views", "masters"].contains(name)
                    else { continue }
                    let collection = database.collection(name)
                    lines += try await collection.find([:]).toArray().map { "\(name): \($0)" }.sorted()
                    lines += try await collection.listIndexes().map { "\(name): \($0)" }.sorted()
                }
                return lines
            }
        }

        /// A master of a swarm with another password on this one's database. Returns what it says.
        private static func stranger(_ swarm: Swarm) async throws -> String {
            let password = try swarm.scratchFile(Data("quite another one\n".utf8), named: "wrong").path
            var arguments = try swarm.arguments(of: Swarm.master)
            arguments[try #require(arguments.firstIndex(of: "--listen")) + 1] = "127.0.0.1:0"
            arguments[try #require(arguments.firstIndex(of: "--data")) + 1] = swarm.data(of: "stranger").path
            let process = try swarm.launch("stranger", arguments, environment: ["BRIM_PASSWORD_FILE": password])
            #expect(try await process.waitForExit(within: .seconds(60)) == .status(1))
            return try String(contentsOf: swarm.log(of: "stranger"), encoding: .utf8)
        }

        @Test func aMasterWithAnotherPasswordChangesNothing() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "1M")
                let contents = ["/f": Data("text".utf8)]
                try await swarm.put("text", to: "/f")
                let before = try await swarm.snapshotAtRest(Self.servers, contents)
                let arguments = try swarm.arguments(of: Swarm.master)
                let name = arguments[try #require(arguments.firstIndex(of: "--database")) + 1]

                // Beside the swarm's own master, which goes on leading.
                let words = try await Self.stranger(swarm)
                #expect(words.contains("'\(name)' belongs to a swarm with another password"), "\(words)")
                #expect(words.contains("--database"), "\(words)")
                #expect(!words.contains("waiting for MongoDB") && !words.contains("this master leads"), "\(words)")
                #expect(try await swarm.status().masters?.map(\.url) == [swarm.url])

                // While that is away: nobody else would make good what it did.
                for server in Self.servers { try await swarm.stop(server) }
                try await swarm.stop(Swarm.master)
                // A view that every master makes when it is not there.
                _ = try await swarm.withDatabase { try await $0.runCommand(["drop": "health"]) }
                let left = try await Self.database(swarm)
                _ = try await Self.stranger(swarm)
                #expect(try await Self.database(swarm) == left)

                try await swarm.restart(Swarm.master)
                for server in Self.servers { try swarm.relaunch(server) }
                try await swarm.waitUntilUnchanged(since: before, Self.servers)
            }
        }

        /// Two swarms of one password. The other one's master is started on this one's database by mistake, and so becomes a
        /// master of this swarm; but the slave that follows it is still the other's.
        @Test func aSlaveStaysWithItsSwarmWhereverItsMasterGoes() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2", "--lease", "2s"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "1M")
                try await swarm.put("ours", to: "/f")
                try await swarm.put("ours alone", to: "/g")
                let contents = ["/f": Data("ours".utf8), "/g": Data("ours alone".utf8)]
                let before = try await swarm.snapshotAtRest(Self.servers, contents)

                let other = "127.0.0.1:\(try Swarm.unusedPort())"
                let there = ["BRIM_MASTER": other]
                let database = "--database"
                let uri = try await PrivateMongod.shared().uri
                let common = ["master", "--listen", other, "--data", swarm.data(of: "other").path, "--mongodb", uri]
                let timing = ["--heartbeat", "200ms", "--lease", "2s", "--copies", "2"]
                let theirs = common + [database, PrivateMongod.freshDatabaseName("other")] + timing
                try swarm.launch("other", theirs)
                func waitUntilReady() async throws {
                    try await swarm.waitFor("the other master is ready") {
                        try await swarm.request("http://\(other)/readyz", [], token: nil).status == 200
                    }
                }
                try await waitUntilReady()
                // Of the same name as one of this swarm's.
                let address = "127.0.0.1:\(try Swarm.unusedPort())"
                try swarm.launch(
                    "stray",
                    [
                        "slave", "--master", "http://\(other)", "--data", swarm.data(of: "stray").path, "--quota", "1M",
                        "--name", "alpha", "--listen", address,
                    ])
                let file = try swarm.scratchFile(Data("theirs".utf8)).path
                try await swarm.waitFor("the other swarm takes a file") {
                    try await swarm.cli(["put", file, "/f"], environment: there).status == 0
                }
                try await swarm.waitFor("its slave has a copy of its namespace") {
                    try await swarm.request("http://\(address)/v1/stat/f", []).status == 200
                }
                let blobs = try swarm.blobs(on: "stray")
                #expect(blobs.count == 1)

                try await swarm.stop("other")
                let arguments = try swarm.arguments(of: Swarm.master)
                let name = arguments[try #require(arguments.firstIndex(of: database)) + 1]
                try swarm.launch("other", common + [database, name] + timing)
                try await waitUntilReady()
                func log() throws -> String { try String(contentsOf: swarm.log(of: "stray"), encoding: .utf8) }
                try await swarm.waitFor("the slave says what is wrong") { try log().contains("another swarm") }
                // Also when it is that very master which leads.
                try await swarm.stop(Swarm.master)
                try await swarm.waitFor("the other master leads") {
                    try await swarm.cli(["status", "--json"], environment: there).json(StatusReply.self).leader
                        == "http://\(other)"
                }
                let refusals = try log().components(separatedBy: "another swarm").count
                try await swarm.hold("its blobs, and who is in this swarm", for: .seconds(4)) {
                    #expect(try swarm.blobs(on: "stray") == blobs)
                    return try await swarm.request("http://\(other)/v1/servers", []).status == 200
                }
                #expect(try log().components(separatedBy: "another swarm").count >= refusals)
                #expect(try swarm.process(of: "stray").isRunning, "it still serves what it has")
                #expect(try await swarm.request("http://\(address)/v1/files/f", ["-L"]).text == "theirs")
                #expect(try await swarm.request("http://\(address)/v1/stat/g", []).status == 404)
                let servers = try await swarm.request("http://\(other)/v1/servers", [])
                let known = try BrimJSON.decoder().decode([ServerStatus].self, from: servers.body)
                #expect(known.map(\.name.rawValue).sorted() == Self.servers && !known.map(\.address).contains(address))

                // The mistake is made good.
                try await swarm.stop("other")
                try await swarm.restart(Swarm.master)
                try await swarm.waitUntilUnchanged(since: before, Self.servers)
                try swarm.launch("other", theirs)
                try await waitUntilReady()
                // The command line was told of this swarm's masters meanwhile.
                try swarm.forgetRememberedMasters()
                try await swarm.waitFor("the slave is a member again") {
                    try await swarm.cli(["cat", "/f"], environment: there).text == "theirs"
                }
                #expect(try swarm.blobs(on: "stray") == blobs)
                try await swarm.stop("stray")
                try await swarm.stop("other")
            }
        }
    }
}
