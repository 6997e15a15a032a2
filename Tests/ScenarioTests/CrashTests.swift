import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Synchronization
import Testing

extension ScenarioTests {
    /// Processes that die without a chance to tidy up, in the middle of many writes.
    @Suite struct CrashTests {
        private static let servers = ["alpha", "bravo", "charlie"]
        private static let quota: Int64 = 9_000_000
        /// How far the run has come, told from one task to the others.
        private final class Progress: Sendable {
            let hasRound = Atomic(false)
            let areWritersDone = Atomic(false)
            /// Acknowledged by now.
            let writes = Atomic(0)
        }

        /// What was in the way of a write shows in the message of a failure, with the seed; `BRIM_TEST_SEED` takes one.
        @Test func everyAcknowledgedWriteOutlivesAnyProcess() async throws {
            let given = ProcessInfo.processInfo.environment["BRIM_TEST_SEED"].flatMap { UInt64($0) }
            let seed = given ?? UInt64.random(in: 0..<1_000_000)
            print("CrashTests: BRIM_TEST_SEED=\(seed)")
            var options = SwarmOptions.watchful(["--copies", "2"])
            options.database = .ownMongod
            try await Swarm.run(options) { swarm in
                try await swarm.startMaster()
                // Blobs that nobody will ask for any more are soon found out.
                try await swarm.startSlaves(Self.servers, quota: "\(Self.quota)", ["--pending-expiry", "10s"])
                var story = ["seed \(seed)"]
                do {
                    let writers = try await writeWhileAllDies(swarm, seed, &story)
                    try await swarm.waitUntilReady(Swarm.master)
                    try await swarm.waitUntilAtRest(Self.servers)
                    var contents: [String: Data] = [:]
                    for writer in writers { contents.merge(try await survivors(of: writer, swarm)) { $1 } }
                    try await swarm.waitUntilConsistent(contents)
                    for server in Self.servers {
                        #expect(try swarm.incoming(on: server).isEmpty, "on \(server)")
                        let quarantine = swarm.data(of: server).appending(path: "quarantine").path
                        #expect(try FileManager.default.contentsOfDirectory(atPath: quarantine).isEmpty, "on \(server)")
                    }
                    try await swarm.hold("who holds what", for: .seconds(3)) { try await swarm.allHolders() }
                } catch {
                    throw SwarmFailure("\(story.joined(separator: "\n"))\n\(error)")
                }
            }
        }

        /// While MongoDB hangs no heartbeat is noted; when it goes on, judgements of the silence and of the first
        /// heartbeats come at the same moment.
        @Test func aDatabaseThatHangsForAMomentLeavesNoServerSuspect() async throws {
            var options = SwarmOptions.watchful(["--copies", "2"])
            options.database = .ownMongod
            try await Swarm.run(options) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(Self.servers, quota: "1M")
                try await swarm.put("text", to: "/f")
                for _ in 0..<5 {
                    try await swarm.stallMongod(for: .milliseconds(2500))
                    try await swarm.waitUntilAtRest(Self.servers)
                }
                try await swarm.waitUntilConsistent(["/f": Data("text".utf8)])
            }
        }

        /// Two hundred acknowledged writes by four writers.
        private func writeWhileAllDies(
            _ swarm: Swarm, _ seed: UInt64, _ story: inout [String]
        ) async throws -> [CrashWriter] {
            let progress = Progress()
            async let crashes = crash(swarm, seed, progress)
            async let excess = firstExcess(swarm, progress)
            let writers: Result<[CrashWriter], any Error>
            do {
                writers = .success(
                    try await withThrowingTaskGroup(of: CrashWriter.self) { group in
                        for number in 0..<4 {
                            group.addTask {
                                var writer = CrashWriter(number: number, seed: seed)
                                try await writer.run(swarm, count: 50) {
                                    progress.writes.add(1, ordering: .relaxed)
                                } mayStop: {
                                    progress.hasRound.load(ordering: .relaxed)
                                }
                                return writer
                            }
                        }
                        return try await group.reduce(into: []) { $0.append($1) }
                    })
            } catch {
                writers = .failure(error)
            }
            progress.areWritersDone.store(true, ordering: .relaxed)
            let (told, failure) = await crashes
            story += told
            if let failure { throw failure }
            if let excess = try await excess { throw SwarmFailure(excess) }
            let done = try writers.get()
            story += done.map { "writer \($0.number): \($0.acknowledged) writes, errors \($0.failures)" }
            print(story.joined(separator: "\n"))
            return done
        }

        private func crash(_ swarm: Swarm, _ seed: UInt64, _ progress: Progress) async -> ([String], (any Error)?) {
            var crasher = Crasher(Self.servers, seed: seed)
            // Whatever comes of it, the writers must not wait for another round.
            defer { progress.hasRound.store(true, ordering: .relaxed) }
            do {
                try await crasher.run(swarm) {
                    progress.writes.load(ordering: .relaxed)
                } roundEnded: {
                    progress.hasRound.store(true, ordering: .relaxed)
                } mayStop: {
                    progress.areWritersDone.load(ordering: .relaxed)
                }
                return (crasher.story, nil)
            } catch {
                return (crasher.story, error)
            }
        }

        /// Looks at the disks until the writers are done, and says which was filled beyond its quota first.
        private func firstExcess(_ swarm: Swarm, _ progress: Progress) async throws -> String? {
            while !progress.areWritersDone.load(ordering: .relaxed) {
                for server in Self.servers {
                    let bytes = try swarm.leastBytes(on: server)
                    if bytes > Self.quota { return "\(server) held \(bytes) bytes of a quota of \(Self.quota)" }
                }
                try await Task.sleep(for: .milliseconds(50))
            }
            return nil
        }

        /// Reads a writer's files: each must hold what was acknowledged last, or something that was tried later.
        private func survivors(of writer: CrashWriter, _ swarm: Swarm) async throws -> [String: Data] {
            var contents: [String: Data] = [:]
            for (path, file) in writer.files {
                if file.acknowledged == nil, try await !swarm.exists(path) { continue }
                let found = try await swarm.download(path)
                let attempts = file.sizes.indices.filter { writer.data(path, $0) == found }
                guard attempts.contains(where: { $0 >= file.acknowledged ?? 0 }) else {
                    throw SwarmFailure(
                        "\(path) holds \(found.count) bytes of attempt \(attempts.map(String.init)), but attempt "
                            + "\(file.acknowledged ?? -1) of \(file.sizes.count) was acknowledged: "
                            + "\(try await swarm.stat(path))")
                }
                contents[path] = found
            }
            return contents
        }
    }
}
