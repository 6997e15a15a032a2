import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// What every user does first.
    @Suite struct BasicTests {
        @Test func aFileLiesOnBothServersAsPlainBytesAndIsRemovedFromBoth() async throws {
            var options = SwarmOptions()
            options.database = .ownMongod
            try await Swarm.run(options) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                let song = Data.random(count: 100_000, seed: 1)
                try await swarm.put(song, to: "/music/song.mp3")
                try await swarm.waitFor("two copies") { try await swarm.k("/music/song.mp3") == 2 }

                let stat = try await swarm.stat("/music/song.mp3")
                let blob = try #require(stat.blob)
                #expect(stat.size == 100_000)
                #expect(stat.n == 3)
                #expect(stat.surplus == -1)
                #expect(try await swarm.holders("/music/song.mp3") == ["alpha", "bravo"])
                let name = "\(blob)"
                let expectedPath = "\(name.suffix(4).prefix(2))/\(name.suffix(2))/\(name)"
                for server in ["alpha", "bravo"] {
                    #expect(try swarm.blobBytes(blob, on: server) == song)
                    #expect(try swarm.blobs(on: server)[name]?.path == expectedPath)
                }
                try await swarm.waitUntilConsistent(["/music/song.mp3": song])

                try await swarm.brim("rm", "--now", "/music/song.mp3")
                #expect(try await !swarm.exists("/music/song.mp3"))
                try await swarm.waitFor("both disks empty") {
                    try swarm.blobs(on: "alpha").isEmpty && swarm.blobs(on: "bravo").isEmpty
                }
                try await swarm.waitUntilConsistent([:])
            }
        }

        @Test func statusHasEveryFieldOfItsContract() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1K", ["--zone", "cellar"])
                let empty = try JSONShape(try await swarm.brim("status", "--json").stdout)
                try empty.expect(["minSurplus": .null, "maxSurplus": .null, "files": .int, "surplus": .array])
                #expect(empty.int("files") == 0)

                try await swarm.put("0123456789", to: "/ten")
                try await swarm.waitFor("the status counts the file") {
                    let status = try await swarm.status()
                    return status.files == 1 && status.servers.first?.used == 10 && status.surplus.count == 1
                        && status.servers.first?.maxSurplus != nil
                }
                let status = try JSONShape(try await swarm.brim("status", "--json").stdout)
                try status.expect([
                    "files": .int, "bytes": .int, "minSurplus": .int, "maxSurplus": .int, "surplus": .array,
                    "unreachable": .int, "leader": .string, "copying": .int, "servers": .array,
                ])
                #expect(status.int("files") == 1)
                #expect(status.int("bytes") == 10)
                #expect(status.int("minSurplus") == -2)
                #expect(status.int("unreachable") == 0)
                let level = try #require(try status.objects("surplus").first)
                try level.expect(["surplus": .int, "files": .int, "bytes": .int])
                #expect(level.int("surplus") == -2 && level.int("files") == 1 && level.int("bytes") == 10)

                let server = try #require(try status.objects("servers").first)
                try server.expect([
                    "name": .string, "address": .string, "state": .string, "zone": .string, "quota": .int,
                    "used": .int, "essential": .int, "spare": .int, "trash": .int, "free": .int, "files": .int,
                    "maxSurplus": .int, "load": .object,
                ])
                #expect(server.string("name") == "alpha" && server.string("state") == "up")
                #expect(server.string("zone") == "cellar")
                #expect(server.int("quota") == 1000 && server.int("used") == 10 && server.int("free") == 990)
                #expect(server.int("essential") == 10 && server.int("spare") == 0 && server.int("trash") == 0)
                #expect(server.int("files") == 1 && server.int("maxSurplus") == -2)
                try server.object("load").expect([
                    "cpu": .number, "network": .number, "disk": .number, "transfers": .int,
                ])

                let servers = try await swarm.brim("servers", "--json").json([ServerStatus].self)
                #expect(servers.map(\.name.rawValue) == ["alpha"])
                #expect(try await swarm.brim("status").text.contains("alpha"))
            }
        }

        @Test func directoriesListingsAndMoves() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                try await swarm.brim("mkdir", "-p", "/a/b/c")
                try await swarm.brim("mkdir", "-p", "/a/b/c")
                let again = try await swarm.cli(["mkdir", "--json", "/a/b"])
                #expect(again.status == 1)
                #expect(try again.error().code == .exists)
                let orphan = try await swarm.cli(["mkdir", "--json", "/x/y"])
                #expect(orphan.status == 1)
                #expect(try orphan.error().code == .notFound)

                try await swarm.put("one", to: "/a/one.txt")
                try await swarm.put("second", to: "/a/b/")
                try await swarm.put("three", to: "/new/parents/three.txt")
                let names = try await swarm.brim("ls", "--json", "/a/b").json([Item].self).map(\.name)
                #expect(names.count == 2 && names.contains("c"))
                try await swarm.brim("mv", "/a/b/\(try #require(names.first { $0 != "c" }))", "/a/b/two.txt")

                try await swarm.waitFor("two copies of each") {
                    try await swarm.files().values.allSatisfy { $0.k == 2 }
                }
                let items = try await swarm.brim("ls", "--json", "/a").json([Item].self)
                #expect(items.map(\.name) == ["b", "one.txt"])
                #expect(items.map(\.type) == ["directory", "file"])
                #expect(items[1].size == 3 && items[1].n == 3 && items[1].k == 2)
                #expect(items[0].n == nil && items[0].k == nil)
                #expect(try await swarm.brim("ls", "/a").text == "b\none.txt")
                let long = try await swarm.brim("ls", "-l", "-R", "/a").text
                for part in ["one.txt", "two.txt", "2/3", "/a/b/c"] { #expect(long.contains(part), "\(long)") }

                // A file to another name, a file into a directory, a directory with all in it.
                try await swarm.brim("mv", "/a/one.txt", "/a/uno.txt")
                try await swarm.brim("mv", "/a/uno.txt", "/a/b/c/")
                try await swarm.brim("mv", "/a/b", "/moved")
                #expect(try await swarm.brim("ls", "/a").text == "")
                #expect(try await swarm.brim("ls", "/moved").text == "c\ntwo.txt")
                let du = try await swarm.brim("du", "--json", "/moved").json(UsageReply.self)
                #expect(du.files == 2 && du.bytes == 9 && du.storedBytes == 18)
                let df = try await swarm.brim("df").text
                #expect(df.contains("alpha") && df.contains("bravo"))
                try await swarm.waitUntilConsistent([
                    "/moved/c/uno.txt": Data("one".utf8), "/moved/two.txt": Data("second".utf8),
                    "/new/parents/three.txt": Data("three".utf8),
                ])
                // Onto a file: that file is replaced.
                try await swarm.brim("mv", "/moved/c/uno.txt", "/moved/two.txt")
                try await swarm.brim("rm", "-r", "/new")
                try await swarm.waitUntilConsistent(["/moved/two.txt": Data("one".utf8)])
            }
        }

        @Test func versionsAttributesAndCopiesWanted() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                try await swarm.put("first", to: "/f")
                let first = try await swarm.stat("/f")
                #expect(first.version == 1)
                try await swarm.put("the second", to: "/f")
                let second = try await swarm.stat("/f")
                #expect(second.version == 2 && second.size == 10)
                #expect(second.id == first.id && second.blob != first.blob && second.checksum != first.checksum)
                // The bytes of the first version stay on both disks, as an old version.
                try await swarm.waitUntilConsistent(["/f": Data("the second".utf8)])

                try await swarm.brim("set", "/f", "n=1", "popularity=9", "artist=Björk", "rating=4.5", "live=true")
                try await swarm.waitFor("two copies") { try await swarm.k("/f") == 2 }
                let stat = try JSONShape(try await swarm.brim("stat", "--json", "/f").stdout)
                try stat.expect([
                    "path": .string, "type": .string, "size": .int, "version": .int, "modified": .string,
                    "checksum": .string, "n": .int, "k": .int, "surplus": .int, "replicas": .array,
                    "attributes": .object,
                ])
                #expect(stat.string("path") == "/f" && stat.string("type") == "file")
                #expect(stat.int("n") == 1 && stat.int("k") == 2 && stat.int("surplus") == 1)
                #expect(Timestamp(stat.string("modified") ?? "") != nil)
                let attributes = try await swarm.stat("/f").attributes
                #expect(
                    attributes == [
                        "popularity": .int(9), "artist": .string("Björk"), "rating": .double(4.5), "live": .bool(true),
                    ])
                let holders = try await swarm.brim("where", "--json", "/f").json([Location].self)
                #expect(Set(holders.map(\.server.rawValue)) == ["alpha", "bravo"])
                #expect(holders.allSatisfy { $0.state == .up && $0.address.hasPrefix("127.0.0.1:") })
                // A new version keeps what was set.
                try await swarm.put("the third one", to: "/f")
                let third = try await swarm.stat("/f")
                #expect(third.version == 3 && third.n == 1 && third.attributes == attributes)

                try await swarm.put("five", to: "/five", "-n", "5")
                #expect(try await swarm.stat("/five").n == 5)
                try await swarm.waitUntilConsistent(["/f": Data("the third one".utf8), "/five": Data("five".utf8)])
            }
        }

        @Test func twoWritersOfOnePathBothSucceedAndOneWins() async throws {
            try await Swarm.run { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                var contents: [String: Data] = [:]
                for round in 1...5 {
                    let path = "/race-\(round)"
                    let texts = [Data.random(count: 5000, seed: 1), Data.random(count: 4000, seed: 2)]
                    async let one: Void = swarm.put(texts[0], to: path)
                    async let two: Void = swarm.put(texts[1], to: path)
                    _ = try await (one, two)
                    let winner = try await swarm.read(path)
                    #expect(texts.contains(winner))
                    #expect(try await swarm.stat(path).version == 2)
                    contents[path] = winner
                }
                // The losers' bytes are old versions; purged, they are gone from the disks.
                try await swarm.waitUntilConsistent(contents)
                #expect(try await swarm.discarded().count == 5)
                try await swarm.brim("purge")
                try await swarm.waitUntilConsistent(contents)
                #expect(try swarm.blobs(on: "alpha").count == 5 && swarm.blobs(on: "bravo").count == 5)
            }
        }

        /// A line of `ls --json`.
        private struct Item: Decodable {
            var name: String
            var type: String
            var size: Int64
            var modified: String
            var n: Int?
            var k: Int?
        }
    }
}
