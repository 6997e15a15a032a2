import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

/// The command line without a master, and what follows when one is back.
extension ScenarioTests.OfflineReadTests {
    @Test func commandsReadFromASlaveByThemselves() async throws {
        try await Self.run { swarm, files in
            // A command before has noted where the slaves are.
            let book = swarm.directory.appending(path: "home/.cache/brim")
            #expect(try FileManager.default.contentsOfDirectory(atPath: book.path).count == 1)
            try await Self.killMaster(swarm)
            let list = try await swarm.cli(["ls", "--json", "/music"])
            #expect(list.status == 0, "\(list)")
            let told = list.stderr.split(separator: "\n")
            #expect(told.count == 1, "\(list)")
            let words = /brim: no master answers: reading from slave (alpha|bravo|charlie), \d+ s old/
            #expect(told.first?.wholeMatch(of: words) != nil, "\(list)")
            let items = try #require(try JSONSerialization.jsonObject(with: list.stdout) as? [[String: Any]])
            #expect(items.count == 14 && items.allSatisfy { $0["age"] != nil })
            let stat = try await swarm.cli(["stat", "--json", "/music/song 1.mp3"])
            let song = try BrimJSON.decoder().decode(FileStat.self, from: stat.stdout)
            #expect(song.size == 20_000 && song.age != nil && song.attributes["popularity"] == .int(7))
            let location = try await swarm.cli(["where", "--json", "/music/song 1.mp3"])
            #expect(try BrimJSON.decoder().decode([Location].self, from: location.stdout).allSatisfy { $0.age != nil })
            for (path, data) in files {
                let read = try await swarm.cli(["cat", path])
                #expect(read.status == 0 && read.stdout == data, "\(path): \(read.status) \(read.stderr)")
            }
            let tree = try await swarm.cli(["get", "-r", "/music", "copy"])
            #expect(tree.status == 0, "\(tree)")
            for (path, data) in files where path.hasPrefix("/music/") {
                let copy = swarm.scratch.appending(path: "copy" + path.dropFirst("/music".count))
                #expect(try Data(contentsOf: copy) == data, "\(path)")
            }
            #expect(try await swarm.cli(["stat", "/none"]).status == 1)
        }
    }

    @Test func theListOfMastersMayNameSlaves() async throws {
        try await Self.run { swarm, files in
            let slaves = try Self.names.map { try Self.url(of: $0, swarm) }
            let all = ([slaves[0], swarm.url] + slaves.dropFirst()).joined(separator: ",")
            // While a master answers, it is asked.
            let before = try await swarm.cli(["stat", "--json", "--master", all, "/empty"])
            #expect(try BrimJSON.decoder().decode(FileStat.self, from: before.stdout).age == nil, "\(before)")
            #expect(before.stderr.isEmpty, "\(before)")
            try await Self.killMaster(swarm)
            // With nothing noted, only the list helps.
            try FileManager.default.removeItem(at: swarm.directory.appending(path: "home/.cache"))
            for slave in slaves {
                let after = try await swarm.cli(["cat", "--master", slave, "/music/song 2.mp3"])
                #expect(after.stdout == files["/music/song 2.mp3"], "\(after.status) \(after.stderr)")
            }
            let unknown = try await swarm.cli(["ls", "/"])
            #expect(unknown.status == 1 && unknown.stderr.hasPrefix("brim: "), "\(unknown)")
        }
    }

    @Test func aSlaveThatStartsWithoutAMasterServes() async throws {
        try await Self.run { swarm, files in
            try await Self.killMaster(swarm)
            for slave in Self.names { try await swarm.kill9(slave) }
            for slave in Self.names { try swarm.relaunch(slave) }
            try await Self.waitUntilCopied(swarm, "what it knew before") { $0.attributes["popularity"] == .int(7) }
            try await Self.expectReadable(swarm, files)
        }
    }

    @Test func aMasterThatIsBackIsCaughtUpWith() async throws {
        try await Self.run { swarm, files in
            try await Self.killMaster(swarm)
            try await Self.expectReadable(swarm, ["/empty": Data()].merging(files) { $1 }, from: ["charlie"])
            try await swarm.restart(Swarm.master)
            try await swarm.waitUntilUp(Self.names)
            let new = Data("new contents".utf8)
            try await swarm.put(new, to: "/empty")
            try await swarm.brim("mv", "/music", "/songs")
            try await swarm.brim("rm", "/songs/song 1.mp3")
            try await swarm.brim("rm", "--now", "/songs/song 2.mp3")
            try await swarm.brim("mkdir", "/last")
            try await Self.waitUntilCopied(swarm, "the last directory", path: "/last") { $0.type == .directory }
            var expected: [String: Data] = [:]
            for (path, data) in files { expected[path.replacing("/music/", with: "/songs/")] = data }
            expected["/songs/song 1.mp3"] = nil
            expected["/songs/song 2.mp3"] = nil
            expected["/empty"] = new
            try await Self.killMaster(swarm)
            try await Self.expectReadable(swarm, expected)
            for slave in Self.names {
                let url = try Self.url(of: slave, swarm)
                for path in ["/music", "/music/song%203.mp3", "/songs/song%201.mp3", "/songs/song%202.mp3"] {
                    #expect(try await swarm.request(url + "/v1/stat" + path, []).status == 404, "\(path) on \(slave)")
                }
            }
        }
    }
}
