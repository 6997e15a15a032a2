import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests.TrashTests {
    private func versions(_ swarm: Swarm, _ path: String) async throws -> [Int64] {
        try await swarm.brim("versions", "--json", path).json([VersionItem].self).map(\.version)
    }

    @Test func overwrittenVersionsAreKeptAndComeBack() async throws {
        try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
            let texts = (1...3).map { Data.random(count: 10_000 * $0, seed: UInt64($0)) }
            var first: FileStat?
            for text in texts {
                try await swarm.put(text, to: "/f")
                if first == nil { first = try await swarm.stat("/f") }
            }
            try await swarm.brim("set", "/f", "n=1")
            let items = try JSONShape.all(try await swarm.brim("versions", "--json", "/f").stdout)
            for item in items {
                #expect(item.names == ["version", "size", "modified", "current"])
                try item.expect(["version": .int, "size": .int, "modified": .string])
            }
            #expect(items.map { $0.int("version") } == [3, 2, 1])
            #expect(items.map { $0.int("size") } == [30_000, 20_000, 10_000])
            #expect(try await swarm.brim("versions", "/f").text.contains("current"))

            #expect(try await swarm.brim("cat", "--version", "1", "/f").stdout == texts[0])
            #expect(try await swarm.brim("cat", "--version", "3", "/f").stdout == texts[2])
            try await swarm.brim("get", "--version", "2", "/f", "second")
            #expect(try Data(contentsOf: swarm.scratch.appending(path: "second")) == texts[1])
            let http = try await swarm.curl("/v1/files/f?version=2", "-L")
            #expect(http.status == 200 && http.body == texts[1])
            try await Self.refusal(swarm, .notFound, "cat", "--version", "9", "/f")
            try await Self.refusal(swarm, .notFound, "restore", "--version", "9", "/f")
            try await swarm.waitUntilConsistent(["/f": texts[2]])

            let before = try swarm.blobs(on: "alpha")
            try await swarm.brim("restore", "--version", "1", "/f")
            let restored = try await swarm.stat("/f")
            #expect(restored.version == 4 && restored.blob == first?.blob && restored.n == 1 && restored.k == 2)
            #expect(restored.modified == first?.modified && restored.id == first?.id)
            #expect(try await versions(swarm, "/f") == [4, 3, 2])
            try await swarm.waitUntilConsistent(["/f": texts[0]])
            // No byte was copied.
            #expect(try swarm.blobs(on: "alpha") == before)
            let gone = try await Self.refusal(swarm, .notFound, "restore", "--version", "1", "/f")
            #expect(gone.message.contains("its room was needed"), "\(gone)")
            // And on: a new version over it, and back again.
            try await swarm.put("five", to: "/f")
            try await swarm.brim("restore", "--version", "4", "/f")
            #expect(try await versions(swarm, "/f") == [6, 5, 3, 2])
            try await swarm.waitUntilConsistent(["/f": texts[0]])
            // Its name is no part of it.
            try await swarm.brim("mv", "/f", "/g")
            #expect(try await swarm.brim("cat", "--version", "3", "/g").stdout == texts[2])
        }
    }

    @Test func oldVersionsGiveWayWhenRoomIsNeeded() async throws {
        func five(_ letter: Character) -> Data { Self.five(letter) }
        try await Swarm.run(SwarmOptions(["--copies", "1", "--headroom", "0"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlave("alpha", quota: "20")
            // What ended since the server's last word is taken to be used twice: more would give way than has to.
            func put(_ letter: Character, to path: String, used: Int64 = 20) async throws {
                try await swarm.put(five(letter), to: path)
                try await swarm.waitFor("the master knows what is used") {
                    try await swarm.server("alpha").used == used
                }
            }
            for (letter, used) in zip("abc", [5, 10, 15]) { try await put(letter, to: "/f", used: Int64(used)) }
            #expect(try await versions(swarm, "/f") == [3, 2, 1])
            try await put("x", to: "/x")
            #expect(try await versions(swarm, "/f") == [3, 2, 1])
            // Room for four: an old version gives way to each.
            try await put("y", to: "/y")
            #expect(try await versions(swarm, "/f").count == 2)
            try await put("z", to: "/z")
            #expect(try await versions(swarm, "/f") == [3])
            for version in ["1", "2"] {
                let error = try await Self.refusal(swarm, .notFound, "restore", "--version", version, "/f")
                #expect(error.message.contains("its room was needed"), "\(error)")
                try await Self.refusal(swarm, .notFound, "cat", "--version", version, "/f")
            }
            try await swarm.waitUntilConsistent([
                "/f": five("c"), "/x": five("x"), "/y": five("y"), "/z": five("z"),
            ])
        }
    }

    @Test func aServerThatWasAwayBringsNothingBack() async throws {
        try await Swarm.run(.watchful(["--copies", "2"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo", "charlie"], quota: "1M")
            for name in ["gone", "trash", "back", "changed"] { try await swarm.put("\(name) at first", to: "/\(name)") }
            try await swarm.waitFor("three copies of each") {
                try await swarm.files().values.allSatisfy { $0.k == 3 }
            }
            let before = try swarm.blobs(on: "charlie")
            let gone = "\(try #require(try await swarm.stat("/gone").blob))"

            try await swarm.kill9("charlie")
            try await swarm.waitFor("charlie down") { try await swarm.server("charlie").state == .down }
            try await swarm.brim("rm", "--now", "/gone")
            try await swarm.brim("rm", "/trash", "/back")
            try await swarm.brim("undelete", "/back")
            try await swarm.put("another text", to: "/changed")
            let contents = ["/back": Data("back at first".utf8), "/changed": Data("another text".utf8)]
            try await swarm.waitUntilConsistent(contents, down: ["charlie"])

            try await swarm.restart("charlie")
            try await swarm.waitFor("three copies of each") {
                try await swarm.files().values.allSatisfy { $0.k == 3 }
            }
            try await swarm.waitUntilConsistent(contents)
            // What was removed for good is gone there too; all else lies there as it did, and counts.
            let after = try swarm.blobs(on: "charlie")
            #expect(after[gone] == nil)
            #expect(before.allSatisfy { $0.key == gone || after[$0.key] == $0.value })
            #expect(after.count == 4)
            #expect(try await Self.trash(swarm).map(\.path) == ["/trash"])
            #expect(try await Self.trash(swarm).first?.k == 3)
            #expect(try await swarm.files().keys.sorted() == ["/back", "/changed"])
            try await swarm.brim("undelete", "/trash")
            #expect(try await swarm.k("/trash") == 3)
        }
    }

    /// The master is killed right after overwrites, before their versions get documents of their own.
    @Test func aKilledMasterLosesNoVersion() async throws {
        try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
            var contents: [String: Data] = [:]
            for round in 1...4 {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for file in 0..<8 {
                        let data = Data("file \(file), round \(round)".utf8)
                        contents["/f\(file)"] = data
                        group.addTask { _ = try await swarm.upload(data, to: "/f\(file)") }
                    }
                    try await group.waitForAll()
                }
                try await swarm.kill9(Swarm.master)
                try await swarm.restart(Swarm.master)
            }
            try await swarm.waitUntilConsistent(contents)
            for file in 0..<8 {
                #expect(try await versions(swarm, "/f\(file)") == [4, 3, 2, 1])
                let first = try await swarm.brim("cat", "--version", "1", "/f\(file)").stdout
                #expect(first == Data("file \(file), round 1".utf8))
            }
        }
    }
}
