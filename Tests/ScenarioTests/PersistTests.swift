import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

extension ScenarioTests {
    /// Restarts: nothing is lost or forgotten, and nothing is copied that need not be.
    @Suite struct PersistTests {
        static let servers = ["alpha", "bravo", "charlie"]

        /// With a mongod of its own, and patience: however long a restart takes, no copy is made again elsewhere.
        static func patient(_ flags: [String]) -> SwarmOptions {
            var options = SwarmOptions(flags)
            options.database = .ownMongod
            options.downAfter = .seconds(300)
            return options
        }

        /// A tree with everything a swarm can hold, written so that `/tree/song` has come to its third version; three
        /// quotas of which one was changed since, in which some files have spare copies and some have not.
        private func fill(_ swarm: Swarm) async throws {
            let sizes = ["song": 50_000, "a": 40_000, "b": 40_000, "c": 40_000, "once": 20_000, "often": 10_000]
            let tree = swarm.scratch.appending(path: "tree")
            try FileManager.default.createDirectory(at: tree, withIntermediateDirectories: true)
            for (name, size) in sizes {
                try Data.random(count: size, seed: UInt64(size + name.count)).write(to: tree.appending(path: name))
            }
            let made = try await swarm.shell(
                #"""
                set -e; cd tree
                mkdir -p sub/deep empty-directory && : > sub/empty
                printf 'text' > sub/deep/text && chmod 0600 sub/deep/text && chmod 0750 sub/deep
                printf 1 > "$(printf 'nfc-\303\251')"; printf 22 > "$(printf 'nfd-e\314\201')"; printf 333 > ' a%41?'
                ln -s ../song sub/link && ln -s /nowhere/at\ all dangling
                touch -d '2001-02-03 04:05:06.789012345 UTC' song && touch -d '2010-01-01 UTC' sub/deep empty-directory
                """#)
            try #require(made.status == 0, "\(made)")
            for version in ["the first", "the second"] { try await swarm.put(version, to: "/tree/song") }
            try await swarm.brim("put", "-r", "tree", "/")
            try await swarm.brim("set", "/tree/song", "popularity=9", "artist=Björk", "rating=4.5", "live=true")
            try await swarm.brim("set", "/tree/once", "n=1")
            try await swarm.brim("set", "/tree/often", "n=5")
            try await swarm.brim("server", "quota", "bravo", "190K")
            #expect(try await swarm.stat("/tree/song").version == 3)
        }

        /// The bytes of every file of the tree that ``fill(_:)`` has written.
        private func contents(_ swarm: Swarm) throws -> [String: Data] {
            var contents: [String: Data] = [:]
            let tree = swarm.scratch.appending(path: "tree").path
            for path in FileManager.default.enumerator(atPath: tree)?.compactMap({ $0 as? String }) ?? [] {
                let attributes = try FileManager.default.attributesOfItem(atPath: "\(tree)/\(path)")
                guard attributes[.type] as? FileAttributeType == .typeRegular else { continue }
                contents["/tree/\(path)"] = try Data(contentsOf: URL(filePath: "\(tree)/\(path)"))
            }
            return contents
        }

        /// One way in which processes end and come back.
        private struct Restart {
            let name: String
            let carryOut: (Swarm) async throws -> Void

            static var each: [Restart] {
                let daemons = [Swarm.master] + servers
                let stopped = daemons.map { name in
                    Restart(name: "\(name) stopped") { swarm in
                        try await swarm.stop(name)
                        try await swarm.restart(name)
                    }
                }
                let killed = daemons.map { name in
                    Restart(name: "\(name) killed") { swarm in
                        try await swarm.kill9(name)
                        try await swarm.restart(name)
                    }
                }
                let mongod = [("stopped", SIGTERM), ("killed", SIGKILL)].map { word, signal in
                    Restart(name: "mongod \(word)") { swarm in
                        #expect(try await swarm.endMongod(signal))
                        try await swarm.waitFor("the master ready again") { try await !swarm.entries().isEmpty }
                    }
                }
                let all = [
                    Restart(name: "all stopped") { swarm in
                        for name in servers + [Swarm.master] { try await swarm.stop(name) }
                        for name in daemons { try await swarm.restart(name) }
                    },
                    // The slaves come back while there is no master.
                    Restart(name: "all killed") { swarm in
                        for name in daemons { try await swarm.kill9(name) }
                        for name in servers { try swarm.relaunch(name) }
                        try await swarm.restart(Swarm.master)
                    },
                ]
                return stopped + killed + mongod + all
            }
        }

        @Test func everythingIsAsItWasAfterEachRestart() async throws {
            try await Swarm.run(Self.patient(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "200K")
                try await fill(swarm)
                let contents = try contents(swarm)
                let before = try await swarm.snapshotAtRest(Self.servers, contents)
                let copies = before.entries.values.compactMap(\.k)
                #expect(copies.contains(2) && copies.contains(3), "\(copies)")
                let port = try swarm.ownMongodPort()
                let tree = try await swarm.treeDescription("tree")

                for restart in Restart.each {
                    do {
                        try await restart.carryOut(swarm)
                        try await swarm.waitUntilUnchanged(since: before, Self.servers)
                        let now = try swarm.ownMongodPort()
                        #expect(now == port, "\(restart.name): \(now) and not \(port)")
                        try await swarm.brim("get", "-r", "/tree", "back")
                        #expect(try await swarm.treeDescription("back") == tree, "\(restart.name)")
                        try FileManager.default.removeItem(at: swarm.scratch.appending(path: "back"))
                    } catch {
                        throw SwarmFailure("\(restart.name): \(error)")
                    }
                }
                try await swarm.hold("files and disks", for: .seconds(3)) { try await swarm.snapshot() }
                try await swarm.waitUntilConsistent(contents)
                // And it goes on from there.
                try await swarm.brim("rm", "-r", "/tree")
                try await swarm.put("new", to: "/new")
                try await swarm.waitUntilConsistent(["/new": Data("new".utf8)])
            }
        }

        @Test func aFullSwarmStaysFullAndKeepsItsQuotas() async throws {
            func five(_ letter: Character) -> Data { Data(String(repeating: letter, count: 5).utf8) }
            let servers = ["alpha", "bravo"]
            try await Swarm.run(Self.patient(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(servers, quota: "5")
                try await swarm.brim("server", "quota", "alpha", "10")
                try await swarm.brim("server", "quota", "bravo", "10")
                try await swarm.holdingQuotas {
                    var contents: [String: Data] = [:]
                    for letter in "abcd" {
                        contents["/\(letter)"] = five(letter)
                        try await swarm.put(five(letter), to: "/\(letter)")
                    }
                    let full = try await swarm.snapshotAtRest(servers, contents)
                    for name in [Swarm.master, "alpha", "bravo"] {
                        try await swarm.stop(name)
                        try await swarm.restart(name)
                        try await swarm.waitUntilUnchanged(since: full, servers)
                        let refused = try await swarm.tryPut(five("e"), to: "/e", ["--json"])
                        #expect(try refused.error().code == .full, "after a restart of \(name): \(refused)")
                        // Nothing is left of what was refused.
                        try await swarm.waitUntilConsistent(contents)
                    }

                    // Half of it goes, and spare copies come, also after a restart of all.
                    for path in ["/a", "/b"] {
                        try await swarm.brim("rm", path)
                        contents[path] = nil
                    }
                    for name in servers + [Swarm.master] { try await swarm.kill9(name) }
                    for name in [Swarm.master] + servers { try await swarm.restart(name) }
                    try await swarm.waitFor("a spare copy of each") {
                        try await swarm.files().values.allSatisfy { $0.k == 2 }
                    }
                    let spare = try await swarm.snapshotAtRest(servers, contents)
                    for name in [Swarm.master, "alpha", "bravo"] {
                        try await swarm.kill9(name)
                        try await swarm.restart(name)
                        try await swarm.waitUntilUnchanged(since: spare, servers)
                    }
                    // Spare copies still give way.
                    for letter in "ef" {
                        contents["/\(letter)"] = five(letter)
                        try await swarm.put(five(letter), to: "/\(letter)")
                    }
                    try await swarm.waitUntilAtRest(servers)
                    try await swarm.waitUntilConsistent(contents)
                }
            }
        }
    }
}
