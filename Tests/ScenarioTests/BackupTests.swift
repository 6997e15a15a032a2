import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Backups of the metadata, put back while slaves have gone on.
    @Suite struct BackupTests {
        static let servers = ["alpha", "bravo", "charlie"]

        /// A master with a mongod of its own, which can be lost.
        static var options: SwarmOptions {
            var options = SwarmOptions.watchful(["--copies", "2"])
            options.database = .ownMongod
            return options
        }

        static func start(_ swarm: Swarm) async throws {
            try await swarm.startMaster()
            try await swarm.startSlaves(servers, quota: "10M", ["--pending-expiry", "500ms"])
        }

        /// As if the disk of the master had failed.
        static func loseDatabase(_ swarm: Swarm) async throws {
            try await swarm.kill9(Swarm.master)
            try await swarm.waitFor("mongod ended") { swarm.ownMongods().isEmpty }
            try FileManager.default.removeItem(at: swarm.data(of: Swarm.master))
        }

        /// Names of all blobs on all disks.
        static func disks(_ swarm: Swarm) throws -> [String: Set<String>] {
            var disks: [String: Set<String>] = [:]
            for server in servers { disks[server] = Set(try swarm.blobs(on: server).keys) }
            return disks
        }

        private static func address(_ swarm: Swarm, _ server: String) throws -> String {
            let arguments = try swarm.arguments(of: server)
            return arguments[try #require(arguments.firstIndex(of: "--listen")) + 1]
        }

        /// The blobs in a slave's catalog, and which of them a master has confirmed: of few all.
        static func catalog(_ swarm: Swarm, on server: String) async throws -> [BlobID: Bool] {
            let reply = try await swarm.curl("http://\(try address(swarm, server))/v1/recovery/blobs")
            #expect(reply.status == 200, "\(reply.text)")
            let list = try BrimJSON.decoder().decode(RecoveryBlobs.self, from: reply.body)
            return Dictionary(uniqueKeysWithValues: list.blobs.map { ($0.blob, $0.confirmed) })
        }

        @Test func aRestoredDatabaseDeletesNothing() async throws {
            try await Swarm.run(Self.options) { swarm in
                try await Self.start(swarm)
                let (first, second) = (Data.random(count: 70_000, seed: 1), Data.random(count: 60_000, seed: 2))
                for name in ["kept", "overwritten", "removed", "renamed"] {
                    try await swarm.put(first, to: "/d/\(name)")
                }
                try await swarm.brim("set", "/d/kept", "popularity=9", "n=3")
                try await swarm.waitUntilAtRest(Self.servers)
                let kept = try await swarm.stat("/d/kept")
                let removed = try #require(try await swarm.stat("/d/removed").blob)
                let file = swarm.scratch.appending(path: "backup.gz").path
                let database = ["--data", swarm.data(of: Swarm.master).path]
                let made = try await swarm.cli(["backup", "--json", file] + database)
                #expect(made.status == 0 && made.text.contains(#""bytes":"#), "\(made)")

                // What the backup does not know.
                try await swarm.put(second, to: "/d/new")
                try await swarm.put(second, to: "/d/overwritten")
                try await swarm.brim("rm", "--now", "/d/removed")
                try await swarm.brim("mv", "/d/renamed", "/d/moved")
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitFor("the removed file is deleted") {
                    try Self.disks(swarm).values.allSatisfy { !$0.contains("\(removed)") }
                }
                let new = try #require(try await swarm.stat("/d/new").blob)
                let overwritten = try #require(try await swarm.stat("/d/overwritten").blob)
                let before = try Self.disks(swarm)
                // Not beside a master, and not over what is there.
                var refused = try await swarm.cli(["restore", "--json", file] + database)
                #expect(try refused.status == 1 && refused.error().code == .conflict, "\(refused)")
                try await swarm.stop(Swarm.master)
                refused = try await swarm.cli(["restore", "--json", file] + database)
                #expect(try refused.status == 1 && refused.error().code == .notEmpty, "\(refused)")
                try FileManager.default.removeItem(at: swarm.data(of: Swarm.master))

                let restored = try await swarm.cli(["restore", file] + database)
                #expect(restored.status == 0, "\(restored)")
                try await swarm.restart(Swarm.master)
                try await swarm.waitUntilAtRest(Self.servers)
                // Of one it was deleted before the database was lost.
                try await swarm.waitFor("what servers told is entered") {
                    let files = try await swarm.files()
                    return files["/d/removed"]?.k == 0 && files["/d/kept"]?.k == 3
                }
                #expect(
                    try await Set(swarm.files().keys) == ["/d/kept", "/d/overwritten", "/d/removed", "/d/renamed"])
                for path in ["/d/kept", "/d/overwritten", "/d/renamed"] {
                    #expect(try await swarm.read(path) == first, "\(path)")
                }
                let after = try await swarm.stat("/d/kept")
                #expect(after.id == kept.id && after.n == 3 && after.attributes == kept.attributes)
                for (server, blobs) in before {
                    #expect(try Self.disks(swarm)[server]?.isSuperset(of: blobs) == true, "on \(server)")
                }

                // A slave that forgets what it was told about blobs asks; what nobody knows is kept all the same.
                let holders = before.filter { $0.value.contains("\(new)") }.keys.sorted()
                let holder = try #require(holders.first)
                try await swarm.stop(holder)
                for suffix in ["", "-wal", "-shm"] {
                    let catalog = swarm.data(of: holder).appending(path: "catalog.sqlite\(suffix)")
                    try? FileManager.default.removeItem(at: catalog)
                }
                try await swarm.restart(holder)
                for blob in [new, overwritten] where before[holder]?.contains("\(blob)") == true {
                    try await swarm.waitFor("\(blob) is confirmed") {
                        try await Self.catalog(swarm, on: holder)[blob] == true
                    }
                }
                try await swarm.waitUntilAtRest(Self.servers)
                #expect(try Self.disks(swarm)[holder]?.isSuperset(of: before[holder] ?? []) == true)

                // Slaves follow the new leader, and numbers are new ones.
                try await swarm.put(second, to: "/d/after")
                try await swarm.waitFor("a spare copy") { try await swarm.k("/d/after") == 3 }
                let id = try await swarm.stat("/d/after").id
                #expect(id > kept.id)
            }
        }

        /// With MongoDB elsewhere, into a database of another name; from standard input to standard output.
        @Test func anotherDatabase() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                try await swarm.put("hello", to: "/hello")
                let arguments = try swarm.arguments(of: Swarm.master)
                func value(_ flag: String) throws -> String {
                    arguments[try #require(arguments.firstIndex(of: flag)) + 1]
                }
                let place = ["--mongodb", try value("--mongodb")]
                let database = try value("--database")
                let other = database + "-2"
                let backup = try await swarm.cli(["backup", "-", "--database", database] + place)
                #expect(backup.status == 0, "\(backup)")
                func restore(_ bytes: Data, _ changes: [String: String?] = [:]) async throws -> CommandResult {
                    try await swarm.cli(
                        ["restore", "-", "--json", "--database", other] + place, input: bytes, environment: changes)
                }
                var edited = backup.stdout
                edited[edited.count / 2] ^= 1
                for (what, bytes) in [
                    ("cut short", backup.stdout.prefix(backup.stdout.count / 2)), ("edited", edited), ("empty", Data()),
                    ("text", Data("no backup at all".utf8)),
                ] {
                    let result = try await restore(bytes)
                    #expect(try result.status == 1 && result.error().code == .corrupt, "\(what): \(result)")
                }
                let stranger = try await restore(
                    backup.stdout, ["BRIM_PASSWORD": "another", "BRIM_PASSWORD_FILE": nil])
                #expect(try stranger.status == 1 && stranger.error().code == .denied, "\(stranger)")

                #expect(try await restore(backup.stdout).status == 0)
                try await swarm.stop(Swarm.master)
                try swarm.launch(Swarm.master, arguments + ["--database", other])
                try await swarm.waitUntilReady(Swarm.master)
                try await swarm.waitUntilUp(["alpha"])
                try await swarm.waitFor("the file is there") { try await swarm.k("/hello") == 1 }
                #expect(try await swarm.read("/hello") == Data("hello".utf8))
            }
        }

        @Test func wrongUse() async throws {
            try await Swarm.run(Self.options) { swarm in
                func fails(_ status: Int32, _ arguments: String...) async throws -> CommandResult {
                    let result = try await swarm.cli(arguments)
                    #expect(result.status == status, "\(result)")
                    return result
                }
                let nothing = swarm.scratch.appending(path: "nothing").path
                _ = try await fails(2, "backup", nothing)
                _ = try await fails(2, "backup", nothing, "--data", nothing, "--mongodb", "mongodb://h/")
                #expect(try await fails(2, "restore", nothing).stderr.contains("--version"))
                _ = try await fails(2, "restore", "--version", "1", "/f", "--data", nothing)
                _ = try await fails(2, "restore", "--master", "m", nothing)
                #expect(try await fails(1, "backup", nothing, "--data", nothing).stderr.contains("no master has kept"))
                #expect(try await fails(1, "restore", nothing, "--data", nothing).stderr.contains("No such file"))
                _ = try await fails(1, "restore", swarm.scratch.path, "--data", nothing)
                #expect(!FileManager.default.fileExists(atPath: nothing))
                // No database to be found, and no half a file is left.
                let target = swarm.scratch.appending(path: "backup.gz").path
                _ = try await fails(
                    1, "backup", target, "--mongodb", "mongodb://127.0.0.1:\(try Swarm.unusedPort())/?replicaSet=x")
                #expect(try FileManager.default.contentsOfDirectory(atPath: swarm.scratch.path) == [])
            }
        }
    }
}
