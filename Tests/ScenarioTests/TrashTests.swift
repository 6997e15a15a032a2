import BrimClient
import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// What is removed or overwritten stays until its room is needed.
    @Suite struct TrashTests {
        static func five(_ letter: Character) -> Data { Data(String(repeating: letter, count: 5).utf8) }

        /// Runs `brim` and expects it to fail with this code.
        @discardableResult
        static func refusal(
            _ swarm: Swarm, _ code: BrimError.Code, _ arguments: String...,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws -> BrimError {
            let result = try await swarm.cli(arguments + ["--json"])
            #expect(result.status == 1, "\(result)", sourceLocation: sourceLocation)
            let error = try result.error()
            #expect(error.code == code, "\(result)", sourceLocation: sourceLocation)
            return error
        }

        static func trash(_ swarm: Swarm, _ path: String = "/") async throws -> [RemovedItem] {
            try await swarm.brim("undelete", "--list", "--json", path).json([RemovedItem].self)
        }

        private func waitUntilAtRest(_ swarm: Swarm, copies expected: Int) async throws {
            try await swarm.waitFor("\(expected) copies, and rest") {
                let status = try await swarm.status()
                let copies = try await swarm.files().values.reduce(0) { $0 + ($1.k ?? 0) }
                return copies == expected && status.atRest && status.copying == 0
            }
        }

        // MARK: - Removed files

        @Test func removedFilesComeBackByteForByte() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                let first = Data.random(count: 70_000, seed: 1)
                let second = Data.random(count: 90_000, seed: 2)
                try await swarm.put(first, to: "/d/f")
                try await swarm.waitFor("two copies") { try await swarm.k("/d/f") == 2 }
                try await swarm.put(second, to: "/d/f", "-n", "2")
                try await swarm.brim("set", "/d/f", "popularity=9")
                try await swarm.put("other", to: "/d/e/g")
                try await swarm.waitFor("two copies of each") {
                    try await swarm.files().values.allSatisfy { $0.k == 2 }
                }
                let before = try await swarm.stat("/d/f")
                let disk = try swarm.blobs(on: "alpha")

                #expect(try await swarm.brim("rm", "-r", "--json", "/d").json(RemoveReply.self).files == 2)
                #expect(try await !swarm.exists("/d"))
                try await swarm.waitUntilConsistent([:])
                let status = try await swarm.status()
                #expect(status.files == 0 && status.minSurplus == nil && status.surplus == [])
                #expect(status.trash == StatusReply.Trash(files: 3, bytes: 2 * 90_000 + 70_000 * 2 + 10))
                #expect(status.servers.allSatisfy { $0.maxSurplus == nil && $0.used == 160_005 })
                #expect(status.servers.allSatisfy { $0.essential == 0 && $0.spare == 0 && $0.trash == 160_005 })
                #expect(try await swarm.brim("df").text.contains(ByteCount.format(320_010)))
                let listed = try await Self.trash(swarm)
                #expect(listed.map(\.path) == ["/d/e/g", "/d/f"])
                #expect(listed.last?.size == 90_000 && listed.last?.n == 2 && listed.last?.version == 2)
                #expect(try await Self.trash(swarm, "/d/e").map(\.path) == ["/d/e/g"])
                #expect(try await swarm.brim("undelete", "--list", "/d").text.contains("/d/f"))
                #expect(
                    try await swarm.brim("versions", "--json", "/d/f").json([VersionItem].self).map(\.version) == [
                        2, 1,
                    ])
                try await Self.refusal(swarm, .isDirectory, "undelete", "/d")
                try await Self.refusal(swarm, .notFound, "undelete", "/d/nothing")

                try await swarm.brim("undelete", "/d/f")
                let after = try await swarm.stat("/d/f")
                #expect(after.id == before.id && after.version == 2 && after.blob == before.blob && after.n == 2)
                #expect(after.attributes == before.attributes && after.modified == before.modified && after.k == 2)
                #expect(try await swarm.read("/d/f") == second)
                #expect(try await swarm.brim("cat", "--version", "1", "/d/f").stdout == first)
                #expect(try swarm.blobs(on: "alpha") == disk)
                try await swarm.waitUntilConsistent(["/d/f": second])

                // Onto a name that is taken since: refused; elsewhere it may go.
                try await swarm.brim("rm", "/d/f")
                try await swarm.put("another", to: "/d/f")
                let error = try await Self.refusal(swarm, .exists, "undelete", "/d/f")
                #expect(error.advice?.contains("--to") == true, "\(error)")
                try await swarm.brim("undelete", "--to", "/back/f", "/d/f")
                try await swarm.waitUntilConsistent(["/d/f": Data("another".utf8), "/back/f": second])

                // A file that is replaced by a move is removed too.
                try await swarm.brim("mv", "/d/f", "/back/f")
                try await swarm.brim("undelete", "--to", "/d/f", "/back/f")
                try await swarm.waitUntilConsistent(["/back/f": Data("another".utf8), "/d/f": second])
            }
        }

        @Test func wholeTreesComeBack() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1M")
                var contents: [String: Data] = [:]
                for i in 0..<12 {
                    contents["/tree/\(i % 3)/\(i)"] = Data("file \(i)".utf8)
                    try await swarm.upload(Data("file \(i)".utf8), to: "/tree/\(i % 3)/\(i)")
                }
                // An earlier file of one path does not come back in the place of a later one.
                try await swarm.upload(Data("earlier".utf8), to: "/tree/x")
                try await swarm.brim("rm", "/tree/x")
                try await swarm.upload(Data("later".utf8), to: "/tree/x")
                contents["/tree/x"] = Data("later".utf8)
                try await swarm.brim("rm", "-r", "/tree")
                try await swarm.waitUntilConsistent([:])
                try await swarm.upload(Data("taken".utf8), to: "/tree/1/1")
                let partial = try await swarm.cli(["undelete", "-r", "--json", "/tree"])
                #expect(partial.status == 1 && partial.stderr.contains("/tree/1/1"), "\(partial)")
                contents["/tree/1/1"] = Data("taken".utf8)
                try await swarm.waitUntilConsistent(contents)
                #expect(try await Self.trash(swarm).map(\.path) == ["/tree/1/1", "/tree/x"])
                try await swarm.brim("rm", "-r", "/tree")
                try await swarm.brim("undelete", "-r", "--to", "/new/place", "/tree")
                try await swarm.waitUntilConsistent(
                    Dictionary(uniqueKeysWithValues: contents.map { ("/new/place" + $0.dropFirst(5), $1) }))
            }
        }

        @Test func trashGivesWayOldestFirstThenSparesAndNoWantedCopy() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "1", "--headroom", "0"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "20")
                try await swarm.holdingQuotas {
                    var contents: [String: Data] = [:]
                    func put(_ letter: Character) async throws {
                        try await swarm.put(Self.five(letter), to: "/\(letter)")
                        contents["/\(letter)"] = Self.five(letter)
                    }
                    for letter in "abc" { try await put(letter) }
                    try await waitUntilAtRest(swarm, copies: 6)
                    for letter in "ab" {
                        try await swarm.brim("rm", "/\(letter)")
                        contents["/\(letter)"] = nil
                    }
                    // Removed first and listed first, but b is made the older one.
                    try await swarm.age(removedFrom: "/b", byMinutes: 60)
                    try await put("d")
                    try await waitUntilAtRest(swarm, copies: 4)
                    // All disks are full, and all is still there.
                    #expect(try await Self.trash(swarm).map(\.path) == ["/a", "/b"])
                    #expect(try await swarm.status().servers.allSatisfy { $0.used == 20 && $0.maxSurplus == 1 })
                    try await swarm.hold("who holds what", for: .seconds(2)) { try await swarm.allHolders() }
                    try await swarm.waitUntilConsistent(contents)

                    try await put("e")
                    try await waitUntilAtRest(swarm, copies: 6)
                    #expect(try await Self.trash(swarm).map(\.path) == ["/a"])
                    let error = try await Self.refusal(swarm, .notFound, "undelete", "/b")
                    #expect(error.message.contains("its room was needed"), "\(error)")
                    #expect(try await swarm.files().values.allSatisfy { $0.k == 2 })
                    try await swarm.waitUntilConsistent(contents)

                    try await put("f")
                    try await waitUntilAtRest(swarm, copies: 8)
                    #expect(try await Self.trash(swarm).isEmpty)
                    #expect(try await swarm.files().values.allSatisfy { $0.k == 2 })
                    // Then spare copies, and at last nothing.
                    for letter in "ghij" { try await put(letter) }
                    try await waitUntilAtRest(swarm, copies: 8)
                    #expect(try await swarm.status().minSurplus == 0)
                    let refused = try await swarm.tryPut(Self.five("z"), to: "/z", ["--json"])
                    #expect(try refused.error().code == .full)
                    try await swarm.waitUntilConsistent(contents)
                    // What is removed now makes room at once, and is gone then.
                    try await swarm.brim("rm", "/j")
                    contents["/j"] = nil
                    try await put("k")
                    try await Self.refusal(swarm, .notFound, "undelete", "/j")
                    try await swarm.waitUntilConsistent(contents)
                }
            }
        }

        @Test func trashNeverCountsNorIsCopied() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "3"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                try await swarm.put("needy", to: "/needy")
                try await swarm.put("stays", to: "/stays", "-n", "1")
                try await waitUntilAtRest(swarm, copies: 4)
                #expect(try await swarm.status().minSurplus == -1)
                try await swarm.brim("rm", "/needy")
                let status = try await swarm.status()
                #expect(status.minSurplus == 1 && status.maxSurplus == 1 && status.files == 1 && status.bytes == 5)
                #expect(status.surplus == [StatusReply.Level(surplus: 1, files: 1, bytes: 5)])
                try await swarm.startSlave("charlie", quota: "1M")
                try await waitUntilAtRest(swarm, copies: 3)
                #expect(try swarm.blobs(on: "charlie").count == 1)
                #expect(try await Self.trash(swarm).first?.replicas.map(\.rawValue).sorted() == ["alpha", "bravo"])
                // Back, it is needy again.
                try await swarm.brim("undelete", "/needy")
                try await waitUntilAtRest(swarm, copies: 6)
                try await swarm.waitUntilConsistent(["/needy": Data("needy".utf8), "/stays": Data("stays".utf8)])
            }
        }

        // MARK: - For good

        @Test func removedAtOnceNothingIsLeft() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                for text in ["one", "two", "three"] { try await swarm.put(text, to: "/f") }
                try await swarm.brim("rm", "--now", "/f")
                try await swarm.waitFor("both disks empty") {
                    try swarm.blobs(on: "alpha").isEmpty && swarm.blobs(on: "bravo").isEmpty
                }
                #expect(try await Self.trash(swarm).isEmpty)
                try await Self.refusal(swarm, .notFound, "undelete", "/f")
                try await Self.refusal(swarm, .notFound, "versions", "/f")
                try await swarm.waitUntilConsistent([:])
            }
        }

        @Test func purgeTakesWhatIsAskedFor() async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
                for path in ["/a", "/d/b", "/d/c"] { try await swarm.put("removed", to: path) }
                try await swarm.brim("rm", "-r", "/a", "/d")
                for text in ["one", "two", "three"] { try await swarm.put(text, to: "/e/f") }
                let contents = ["/e/f": Data("three".utf8)]
                try await swarm.waitUntilConsistent(contents)
                func purge(_ arguments: String...) async throws -> PurgeReply {
                    let result = try await swarm.cli(["purge", "--json"] + arguments)
                    #expect(result.status == 0, "\(result)")
                    return try result.json(PurgeReply.self)
                }
                #expect(try await purge("--older-than", "1h").files == 0)
                try await swarm.age(removedFrom: "/a", byMinutes: 120)
                let old = try await purge("--older-than", "1h")
                #expect(old.files == 1 && old.bytes == 14)
                #expect(try await Self.trash(swarm).map(\.path) == ["/d/b", "/d/c"])
                #expect(try await purge("--trash", "/d/b").files == 1)
                try await Self.refusal(swarm, .notFound, "purge", "--versions", "/d")
                #expect(try await purge("/d").files == 1)
                #expect(try await purge("--trash", "/e").files == 0)
                #expect(try await purge("--versions", "/e").files == 2)
                #expect(try await purge().files == 0)
                #expect(try await swarm.brim("versions", "--json", "/e/f").json([VersionItem].self).count == 1)
                try await swarm.waitUntilConsistent(contents)
                #expect(try swarm.blobs(on: "alpha").count == 1)
                #expect(try await swarm.cli(["purge", "--older-than", "soon"]).status == 2)
            }
        }
    }
}
