import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// A slave whose disk is set back to an earlier image, while its swarm has gone on.
    @Suite struct OldImageTests {
        private static let servers = ["alpha", "bravo", "charlie"]
        private static let old = "charlie"

        /// What of the slave's data directory is old.
        enum Part: String, CaseIterable, Sendable { case all, catalog, blobs }

        private static func data(_ seed: UInt64) -> Data { .random(count: 20_000, seed: seed) }

        private static func run(_ body: (Swarm) async throws -> Void) async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(servers, quota: "1M", ["--pending-expiry", "2s"])
                try await body(swarm)
            }
        }

        /// The data directory of the slave as it is while that is stopped for it.
        private static func takeImage(_ swarm: Swarm) async throws -> URL {
            let image = swarm.scratch.appending(path: "image")
            // What it has received is entered by a master before the slave hears so.
            try await swarm.waitFor("its copies are confirmed to it") {
                try await BackupTests.catalog(swarm, on: old).values.allSatisfy(\.self)
            }
            try await swarm.stop(old)
            try FileManager.default.copyItem(at: swarm.data(of: old), to: image)
            try await swarm.restart(old)
            try await swarm.waitUntilAtRest(servers)
            return image
        }

        /// Puts some of it back, and starts the slave on that.
        private static func setBack(_ swarm: Swarm, to image: URL, _ part: Part) async throws {
            try await swarm.stop(old)
            let directory = swarm.data(of: old)
            let pairs =
                switch part {
                case .all: [(image, directory)]
                case .catalog:
                    // With what SQLite had not moved into it, if anything.
                    ["", "-wal", "-shm"].map { "catalog.sqlite\($0)" }
                        .map { (image.appending(path: $0), directory.appending(path: $0)) }
                case .blobs: [(image.appending(path: "blobs"), directory.appending(path: "blobs"))]
                }
            let files = FileManager.default
            for (old, new) in pairs {
                if files.fileExists(atPath: new.path) { try files.removeItem(at: new) }
                if files.fileExists(atPath: old.path) { try files.copyItem(at: old, to: new) }
            }
            try await swarm.restart(old)
        }

        /// Waits until the slave's own copy of the namespace has the files that there are, of these sizes, and no others.
        private static func waitUntilNamespaceIsRight(_ swarm: Swarm, _ contents: [String: Data]) async throws {
            let slave = try OfflineReadTests.url(of: old, swarm)
            try await swarm.waitFor("the copy of the namespace has caught up") {
                var found: [String: Int64] = [:]
                for directory in ["", "/d"] {
                    let answer = try await swarm.request("\(slave)/v1/list\(directory)/", [])
                    let list = try BrimJSON.decoder().decode(ListReply.self, from: answer.body)
                    for entry in list.entries where entry.type == .file {
                        found["\(directory)/\(entry.name)"] = entry.size
                    }
                }
                return found == contents.mapValues { Int64($0.count) }
            }
        }

        /// Everything that can happen to a file after the image was taken.
        @Test(arguments: Part.allCases) func nothingOfThenComesBack(_ part: Part) async throws {
            try await Self.run { swarm in
                var contents: [String: Data] = [:]
                for (seed, path) in ["/kept", "/overwritten", "/versioned", "/removed", "/gone", "/emptied", "/moved"]
                    .enumerated()
                {
                    contents[path] = Self.data(UInt64(seed))
                    try await swarm.put(Self.data(UInt64(seed)), to: path)
                }
                try await swarm.brim("mkdir", "/d")
                try await swarm.waitFor("a copy of each everywhere") {
                    try await swarm.files().values.allSatisfy { $0.k == 3 }
                }
                try await swarm.waitUntilAtRest(Self.servers)
                let image = try await Self.takeImage(swarm)

                for (seed, path) in ["/overwritten", "/versioned", "/new"].enumerated() {
                    contents[path] = .random(count: 30_000, seed: UInt64(20 + seed))
                    try await swarm.put(contents[path] ?? Data(), to: path)
                }
                try await swarm.brim("purge", "--versions", "/versioned")
                let removed = contents.removeValue(forKey: "/removed")
                try await swarm.brim("rm", "/removed", "/emptied")
                try await swarm.brim("purge", "--trash", "/emptied")
                try await swarm.brim("rm", "--now", "/gone")
                for path in ["/emptied", "/gone"] { contents[path] = nil }
                try await swarm.brim("mv", "/moved", "/d/there")
                contents["/d/there"] = contents.removeValue(forKey: "/moved")
                // Most of its copies go.
                try await swarm.brim("server", "quota", Self.old, "75K")
                try await swarm.waitFor("copies have left it") { try swarm.bytes(on: Self.old) <= 75_000 }
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(contents)

                try await Self.setBack(swarm, to: image, part)
                try await swarm.waitFor("at rest again, and no old bytes are read until then") {
                    for (path, data) in contents where try await swarm.download(path) != data {
                        throw SwarmFailure("\(path) reads as it was once")
                    }
                    let status = try await swarm.status()
                    return status.atRest && status.copying == 0
                }
                try await swarm.waitUntilConsistent(contents)
                #expect(try await swarm.server(Self.old).quota == 75_000)
                try await Self.waitUntilNamespaceIsRight(swarm, contents)

                #expect(try await TrashTests.trash(swarm).map(\.path) == ["/removed"])
                try await swarm.brim("undelete", "/removed")
                contents["/removed"] = removed
                try await swarm.brim("server", "quota", Self.old, "1M")
                try await swarm.waitFor("a copy of each everywhere again") {
                    try await swarm.files().values.allSatisfy { $0.k == 3 }
                }
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(contents)
                #expect(try await swarm.status().warnings.isEmpty)
            }
        }

        /// The masters have no changes since its position: MongoDB has forgotten them, or its files are other ones.
        @Test func itsCopyOfTheNamespaceIsMadeAnewWhereChangesAreForgotten() async throws {
            try await Self.run { swarm in
                try await swarm.brim("mkdir", "/d")
                try await swarm.put(Self.data(1), to: "/d/before")
                try await swarm.put(Self.data(2), to: "/removed")
                try await Self.waitUntilNamespaceIsRight(
                    swarm, ["/d/before": Self.data(1), "/removed": Self.data(2)])
                let image = try await Self.takeImage(swarm)
                try await Self.makeForeign(image.appending(path: "namespace"), swarm)
                try await swarm.brim("rm", "/removed")
                try await swarm.put(Self.data(3), to: "/d/after")
                try await swarm.waitUntilAtRest(Self.servers)

                try await Self.setBack(swarm, to: image, .all)
                let contents = ["/d/before": Self.data(1), "/d/after": Self.data(3)]
                try await Self.waitUntilNamespaceIsRight(swarm, contents)
                let log = try String(contentsOf: swarm.log(of: Self.old), encoding: .utf8)
                #expect(log.contains("the namespace is copied anew"), "\(log.suffix(2000))")
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(contents)
            }
        }

        /// Has the copies of the namespace in a directory be of a collection that is not there any more: its number is the
        /// beginning of a position.
        private static func makeForeign(_ namespace: URL, _ swarm: Swarm) async throws {
            let python = ProcessInfo.processInfo.environment["BRIM_TEST_PYTHON"] ?? "python3"
            let program = #"""
                import glob, json, sqlite3, sys
                changed = 0
                for path in glob.glob(sys.argv[1] + "/*.sqlite"):
                    with sqlite3.connect(path) as db:
                        text, = db.execute("SELECT value FROM meta WHERE key = 'progress'").fetchone()
                        progress = json.loads(text)
                        progress["position"] = "fedcba98" + progress["position"][8:]
                        db.execute("UPDATE meta SET value = ? WHERE key = 'progress'", [json.dumps(progress)])
                        changed += 1
                print(changed)
                """#
            let file = try swarm.scratchFile(Data(program.utf8), named: "foreign.py")
            let result = try await swarm.shell("'\(python)' '\(file.path)' '\(namespace.path)'")
            #expect(result.status == 0 && result.text == "1", "\(result)")
        }

        /// What was removed so long ago that nobody remembers it: its bytes are kept, since they may be all that is left of
        /// something, and a person is told of them.
        @Test func whatNobodyRemembersIsReportedAndBelongsToNoFile() async throws {
            try await Self.run { swarm in
                try await swarm.put(Self.data(1), to: "/kept")
                try await swarm.put(Self.data(2), to: "/gone")
                try await swarm.waitFor("a copy of each everywhere") {
                    try await swarm.files().values.allSatisfy { $0.k == 3 }
                }
                let blob = try #require(try await swarm.stat("/gone").blob)
                let image = try await Self.takeImage(swarm)
                try await swarm.brim("rm", "--now", "/gone")
                let contents = ["/kept": Self.data(1)]
                try await swarm.waitUntilConsistent(contents)
                // As masters do once every server has told since what it has.
                _ = try await swarm.withDatabase { try await $0.collection("deletions").deleteMany([:]) }

                try await Self.setBack(swarm, to: image, .all)
                try await swarm.waitFor("the status tells of it") {
                    try await swarm.status().warnings == [
                        "charlie holds 1 blobs (20.0 kB) that no file can use: they are kept, and take room"
                    ]
                }
                try await swarm.waitUntilAtRest(Self.servers)
                #expect(try await Set(swarm.files().keys) == ["/kept"])
                #expect(try await TrashTests.trash(swarm).isEmpty)
                #expect(try swarm.blobs(on: Self.old)["\(blob)"] != nil)
                #expect(try swarm.blobs(on: "alpha").count == 1 && swarm.blobs(on: "bravo").count == 1)

                // A person who wants it gone.
                try await swarm.stop(Self.old)
                let path = try #require(try swarm.blobs(on: Self.old)["\(blob)"]).path
                try FileManager.default.removeItem(at: swarm.data(of: Self.old).appending(path: "blobs/\(path)"))
                try await swarm.restart(Self.old)
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(contents)
                #expect(try await swarm.status().warnings.isEmpty)
            }
        }
    }
}
