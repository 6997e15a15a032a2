import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Masters that are there and answer nothing: MongoDB is away, or they stand still. And a database that is not what it was.
extension ScenarioTests.OfflineReadTests {
    private static func withMongod(_ body: (Swarm, PrivateMongod) async throws -> Void) async throws {
        let mongod = try await PrivateMongod.start()
        var options = SwarmOptions(["--copies", "1", "--max-copies", "1"])
        options.database = .at(mongod)
        do {
            try await Swarm.run(options) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "10M")
                try await swarm.put("contents", to: "/d/before")
                try await waitUntilCopied(swarm, "it", path: "/d/before", on: ["alpha", "bravo"]) { _ in true }
                try await body(swarm, mongod)
            }
        } catch {
            kill(mongod.pid, SIGCONT)
            await mongod.stop()
            throw error
        }
        await mongod.stop()
    }

    /// Readers are answered, with an age and one line of warning; writers refused, in less than ten seconds.
    private static func expectReadOnly(_ swarm: Swarm, _ what: String) async throws {
        let stat = try await swarm.cli(["stat", "--json", "/d/before"])
        #expect(stat.status == 0 && stat.stderr.split(separator: "\n").count == 1, "\(what): \(stat)")
        #expect(try BrimJSON.decoder().decode(FileStat.self, from: stat.stdout).age != nil, "\(what): \(stat)")
        let read = try await swarm.cli(["cat", "/d/before"])
        #expect(read.status == 0 && read.stdout == Data("contents".utf8), "\(what): \(read)")
        _ = try swarm.scratchFile(Data("new".utf8), named: "new")
        for command in [["mkdir", "/new"], ["put", "new", "/new"], ["rm", "-r", "/d"], ["mv", "/d", "/e"]] {
            let refused = try await swarm.cli(command, within: .seconds(10))
            #expect(refused.status == 1 && refused.stderr.hasPrefix("brim: "), "\(what): \(refused)")
            #expect(!refused.stderr.contains("reading from"), "\(what): \(refused)")
        }
    }

    /// Masters answer again, and nothing of what was refused has happened.
    private static func expectUnchanged(_ swarm: Swarm) async throws {
        try await swarm.waitUntilReady(Swarm.master)
        let stat = try await swarm.cli(["stat", "--json", "/d/before"])
        #expect(try BrimJSON.decoder().decode(FileStat.self, from: stat.stdout).age == nil, "\(stat)")
        #expect(Set(try await swarm.files().keys) == ["/d/before"])
        #expect(try await swarm.cli(["stat", "/new"]).status == 1)
    }

    @Test func readersAreServedWhileMongoDBIsAway() async throws {
        try await Self.withMongod { swarm, mongod in
            #expect(kill(mongod.pid, SIGSTOP) == 0)
            try await Self.expectReadOnly(swarm, "MongoDB hangs")
            #expect(kill(mongod.pid, SIGCONT) == 0)
            try await Self.expectUnchanged(swarm)
            await mongod.pause()
            try await Self.expectReadOnly(swarm, "MongoDB is gone")
            try await mongod.restart()
            try await Self.expectUnchanged(swarm)
        }
    }

    @Test func aMasterThatStandsStillIsNotWaitedForLong() async throws {
        try await Self.withMongod { swarm, _ in
            try swarm.freeze(Swarm.master)
            try await Self.expectReadOnly(swarm, "the master stands still")
            try swarm.thaw(Swarm.master)
            // What it was asked meanwhile it may have done since, but for what was never sent.
            try await swarm.waitUntilReady(Swarm.master)
            let stat = try await swarm.cli(["ls", "/"])
            #expect(stat.status == 0 && stat.stderr.isEmpty, "\(stat)")
        }
    }

    /// From a copy of MongoDB's files, with and without the master noticing: its clock goes on, and numbers are used again.
    @Test(arguments: [false, true]) func aDatabaseThatWasSetBackIsCopiedAnew(masterStays: Bool) async throws {
        try await Self.withMongod { swarm, mongod in
            let files = FileManager.default
            let saved = mongod.directory.deletingLastPathComponent().appending(path: "saved-\(UUID().uuidString)")
            defer { try? files.removeItem(at: saved) }
            await mongod.pause()
            try files.copyItem(at: mongod.directory, to: saved)
            try await mongod.restart()
            try await swarm.waitUntilReady(Swarm.master)
            let undone = (0..<5).map { "/undone\($0)" }
            for path in undone { try await swarm.brim("mkdir", path) }
            for path in undone {
                try await Self.waitUntilCopied(swarm, path, path: path, on: ["alpha", "bravo"]) { _ in true }
            }
            if !masterStays { try await swarm.kill9(Swarm.master) }
            await mongod.pause()
            try files.removeItem(at: mongod.directory)
            try files.copyItem(at: saved, to: mongod.directory)
            try await mongod.restart()
            if masterStays {
                try await swarm.waitUntilReady(Swarm.master)
            } else {
                try await swarm.restart(Swarm.master)
            }
            try await swarm.brim("mkdir", "/after")
            for slave in ["alpha", "bravo"] {
                let url = try Self.url(of: slave, swarm)
                func status(_ path: String) async throws -> Int {
                    try await swarm.request(url + "/v1/stat" + path, []).status
                }
                try await swarm.waitFor("\(slave) has what there is now", within: .seconds(60)) {
                    guard try await status("/after") == 200 else { return false }
                    for path in undone where try await status(path) != 404 { return false }
                    return true
                }
                #expect(try await status("/d/before") == 200)
            }
        }
    }
}
