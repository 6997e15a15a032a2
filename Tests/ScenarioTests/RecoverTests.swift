import BrimClient
import BrimMaster
import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// The database is lost, and rebuilt from what the slaves know.
    @Suite struct RecoverTests {
        private static let servers = BackupTests.servers

        /// `host:port` of slaves, as a list.
        private static func addresses(_ swarm: Swarm, _ names: [String] = servers) throws -> String {
            try names.map { name in
                let arguments = try swarm.arguments(of: name)
                return arguments[try #require(arguments.firstIndex(of: "--listen")) + 1]
            }.joined(separator: ",")
        }

        private static func report(_ swarm: Swarm, _ arguments: String...) async throws -> RecoveryReport {
            let result = try await swarm.cli(["recover", "--json"] + arguments)
            guard result.status == 0 else { throw SwarmFailure("\(result)") }
            return try result.json(RecoveryReport.self)
        }

        private static func refusal(
            _ swarm: Swarm, _ code: BrimError.Code, _ arguments: [String], environment: [String: String?] = [:],
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> BrimError {
            let result = try await swarm.cli(["recover", "--json"] + arguments, environment: environment)
            #expect(result.status == 1, "\(result)", sourceLocation: sourceLocation)
            let error = try result.error()
            #expect(error.code == code, "\(result)", sourceLocation: sourceLocation)
            return error
        }

        /// Some of everything: directories, links, attributes, n, versions, removed files.
        private static func fill(_ swarm: Swarm) async throws -> [String: Data] {
            let data = (0..<6).map { Data.random(count: 10_000 + $0 * 1000, seed: UInt64($0)) }
            try await swarm.brim("mkdir", "-p", "/music/empty/deep")
            for version in 0..<3 { try await swarm.put(data[version], to: "/music/song") }
            try await swarm.put(data[3], to: "/music/jazz/tune", "-n", "3")
            try await swarm.brim("set", "/music/jazz/tune", "popularity=9", "artist=Björk", "live=true")
            try await swarm.brim("set", "/music/empty", "n=4")
            try await swarm.put(data[4], to: "/renamed")
            try await swarm.brim("mv", "/renamed", "/music/other")
            try await swarm.put(data[5], to: "/removed")
            try await swarm.brim("rm", "/removed")
            let tree = swarm.scratch.appending(path: "tree")
            try FileManager.default.createDirectory(at: tree, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(
                atPath: tree.appending(path: "link").path, withDestinationPath: "song")
            try Data("#!/bin/sh\n".utf8).write(to: tree.appending(path: "script"))
            try FileManager.default.setAttributes(
                [.posixPermissions: 0o750], ofItemAtPath: tree.appending(path: "script").path)
            try await swarm.brim("put", "-r", tree.path + "/.", "/music")
            return [
                "/music/song": data[2], "/music/jazz/tune": data[3], "/music/other": data[4],
                "/music/script": Data("#!/bin/sh\n".utf8),
            ]
        }

        /// Waits until every slave knows all that there is.
        private static func waitUntilKnown(_ swarm: Swarm, entries: Int) async throws {
            try await swarm.waitFor("all slaves know \(entries) entries") {
                let report = try await report(swarm, "--slaves", try addresses(swarm))
                return report.servers.count == servers.count && report.servers.allSatisfy { $0.entries == entries }
                    && report.conflicts.isEmpty && report.unreachable == 0
            }
        }

        /// What must be as it was, of each entry.
        private struct Facts: Equatable {
            var type: EntryType
            var size: Int64
            var mode: Int?
            var modified: Timestamp
            var id: FileID?
            var blob: BlobID?
            var checksum: Checksum?
            var n: Int?
            var k: Int?
            var attributes: [String: AttributeValue]?
            var version: Int64?
            var target: String?
        }

        private static func facts(_ swarm: Swarm) async throws -> [String: Facts] {
            try await swarm.entries().mapValues { stat in
                Facts(
                    type: stat.type, size: stat.size, mode: stat.mode, modified: stat.modified, id: stat.id,
                    blob: stat.blob, checksum: stat.checksum, n: stat.n, k: stat.k, attributes: stat.attributes,
                    version: stat.version, target: stat.target)
            }
        }

        @Test func aLostDatabaseIsRebuilt() async throws {
            try await Swarm.run(BackupTests.options) { swarm in
                try await BackupTests.start(swarm)
                let contents = try await Self.fill(swarm)
                try await swarm.waitUntilAtRest(Self.servers)
                let before = try await Self.facts(swarm)
                try await Self.waitUntilKnown(swarm, entries: before.count + 1)
                let disks = try BackupTests.disks(swarm)
                try await BackupTests.loseDatabase(swarm)

                // One address is enough: slaves know of each other.
                let address = try Self.addresses(swarm, ["bravo"])
                let plan = try await Self.report(swarm, "--slaves", address)
                #expect(!plan.applied && plan.servers.map(\.name.rawValue) == Self.servers && plan.silent.isEmpty)
                #expect(plan.files == contents.count && plan.links == 1 && plan.directories == 4)
                #expect(plan.removed == 1 && plan.formerVersions == 2 && plan.unknownBlobs == 0)
                #expect(!FileManager.default.fileExists(atPath: swarm.data(of: Swarm.master).path))
                let database = ["--data", swarm.data(of: Swarm.master).path]
                let applied = try await swarm.cli(["recover", "--slaves", address, "--apply"] + database)
                #expect(applied.status == 0 && applied.text.contains("The database is filled"), "\(applied)")
                // Once is enough.
                _ = try await Self.refusal(swarm, .notEmpty, ["--slaves", address, "--apply"] + database)

                try await swarm.restart(Swarm.master)
                try await swarm.waitUntilAtRest(Self.servers)
                // Copies count again as servers tell what they have.
                var after: [String: Facts] = [:]
                try? await swarm.waitFor("all as before") {
                    after = try await Self.facts(swarm)
                    return after == before
                }
                for path in Set(before.keys).union(after.keys).sorted() {
                    #expect(after[path] == before[path], "\(path)")
                }
                for (path, data) in contents { #expect(try await swarm.read(path) == data, "\(path)") }
                for (server, blobs) in disks {
                    #expect(try BackupTests.disks(swarm)[server]?.isSuperset(of: blobs) == true, "on \(server)")
                }
                // Old versions and what was removed can be brought back.
                let versions = try await swarm.brim("versions", "--json", "/music/song").json([VersionItem].self)
                #expect(versions.map(\.version) == [3, 2, 1])
                let first = try await swarm.cli(["cat", "--version", "1", "/music/song"])
                #expect(first.status == 0 && first.stdout == Data.random(count: 10_000, seed: 0), "\(first)")
                try await swarm.brim("undelete", "/removed")
                #expect(try await swarm.read("/removed") == Data.random(count: 15_000, seed: 5))
                // And all goes on.
                try await swarm.put("new", to: "/new")
                try await swarm.waitFor("a spare copy") { try await swarm.k("/new") == 3 }
                let last = try #require(before.values.compactMap(\.id).max())
                #expect(try await swarm.stat("/new").id > last)
            }
        }

        /// A slave that does not answer is told; what it has is there again when it is back. One whose disk is an old one
        /// brings nothing back that was removed, and its old names count for nothing.
        @Test func slavesThatAreAwayOrOld() async throws {
            try await Swarm.run(BackupTests.options) { swarm in
                try await BackupTests.start(swarm)
                let (old, new) = (Data.random(count: 9000, seed: 1), Data.random(count: 8000, seed: 2))
                for name in ["overwritten", "renamed", "removed"] { try await swarm.put(old, to: "/\(name)") }
                try await swarm.waitUntilAtRest(Self.servers)
                try await Self.waitUntilKnown(swarm, entries: 4)
                // The image of alpha's disk.
                try await swarm.stop("alpha")
                let image = swarm.scratch.appending(path: "image")
                try FileManager.default.copyItem(at: swarm.data(of: "alpha"), to: image)
                try await swarm.restart("alpha")
                try await swarm.put(new, to: "/overwritten")
                try await swarm.put(new, to: "/new")
                try await swarm.brim("mv", "/renamed", "/moved")
                try await swarm.brim("rm", "--now", "/removed")
                try await swarm.put(new, to: "/last")
                try await swarm.waitUntilAtRest(Self.servers)
                try await Self.waitUntilKnown(swarm, entries: 5)
                try await swarm.stop("alpha")
                try await swarm.stop("charlie")
                try await BackupTests.loseDatabase(swarm)
                try FileManager.default.removeItem(at: swarm.data(of: "alpha"))
                try FileManager.default.moveItem(at: image, to: swarm.data(of: "alpha"))
                try swarm.relaunch("alpha")

                let address = try Self.addresses(swarm, ["alpha", "bravo"])
                var plan: RecoveryReport?
                try await swarm.waitFor("alpha answers") {
                    plan = try await Self.report(swarm, "--slaves", address)
                    return plan?.servers.count == 2
                }
                let report = try #require(plan)
                #expect(report.namespace?.rawValue == "bravo")
                #expect(report.silent.map { $0.name?.rawValue } == ["charlie"])
                #expect(report.notes.contains { $0.contains("did not answer") })
                let database = ["--data", swarm.data(of: Swarm.master).path]
                let applied = try await swarm.cli(["recover", "--slaves", address, "--apply"] + database)
                #expect(applied.status == 0, "\(applied)")
                try await swarm.restart(Swarm.master)
                try await swarm.restart("charlie")
                try await swarm.waitUntilAtRest(Self.servers)
                #expect(try await Set(swarm.files().keys) == ["/overwritten", "/new", "/moved", "/last"])
                for path in ["/overwritten", "/new"] { #expect(try await swarm.read(path) == new, "\(path)") }
                #expect(try await swarm.read("/moved") == old)
                #expect(try await swarm.holders("/new").contains("charlie"))
            }
        }

        @Test func wrongUse() async throws {
            try await Swarm.run(BackupTests.options) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                try await swarm.put("hello", to: "/hello")
                let address = try Self.addresses(swarm, ["alpha"])
                let database = ["--data", swarm.data(of: Swarm.master).path]
                // Beside a master, and over what is there.
                _ = try await Self.refusal(swarm, .conflict, ["--slaves", address, "--apply"] + database)
                try await swarm.stop(Swarm.master)
                _ = try await Self.refusal(swarm, .notEmpty, ["--slaves", address, "--apply"] + database)
                // Nobody there, and the wrong password.
                let nobody = "127.0.0.1:\(try Swarm.unusedPort())"
                _ = try await Self.refusal(swarm, .unavailable, ["--slaves", nobody])
                let stranger: [String: String?] = ["BRIM_PASSWORD": "another", "BRIM_PASSWORD_FILE": nil]
                _ = try await Self.refusal(swarm, .unauthorized, ["--slaves", address], environment: stranger)
                for arguments in [[], ["--slaves", ""], ["--slaves", address, "--apply"]] {
                    let result = try await swarm.cli(["recover"] + arguments)
                    #expect(result.status == 2, "\(result)")
                }
                try await swarm.restart(Swarm.master)
                #expect(try await swarm.read("/hello") == Data("hello".utf8))
            }
        }

        /// Blobs without a catalog are summed anew, and the master tells whose they are: nothing is copied.
        @Test func aLostCatalogIsRebuilt() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                try await BackupTests.start(swarm)
                var contents: [String: Data] = [:]
                for number in 0..<5 {
                    contents["/f\(number)"] = Data.random(count: 5000 + number, seed: UInt64(number))
                    try await swarm.put(contents["/f\(number)"] ?? Data(), to: "/f\(number)")
                }
                let before = try await swarm.snapshotAtRest(Self.servers, contents)
                try await swarm.stop("bravo")
                for suffix in ["", "-wal", "-shm"] {
                    try? FileManager.default.removeItem(
                        at: swarm.data(of: "bravo").appending(path: "catalog.sqlite\(suffix)"))
                }
                try await swarm.restart("bravo")
                try await swarm.waitUntilUnchanged(since: before, Self.servers)
                try await swarm.waitUntilConsistent(contents)
            }
        }
    }
}
