import BrimClient
import BrimModel
import BrimTestKit
import Foundation
import Logging
import Testing

extension FaultTests {
    /// Everything that can break does, in turn and at once, while clients write, read, rename and remove.
    @Suite struct MixTests {
        /// `BRIM_TEST_SEED` takes a seed, `BRIM_FAULT_MINUTES` how long things break; 3 minutes when it is not set.
        @Test(.needsFaults)
        func nothingThatWasAcknowledgedIsLost() async throws {
            let environment = ProcessInfo.processInfo.environment
            let seed = environment["BRIM_TEST_SEED"].flatMap { UInt64($0) } ?? UInt64.random(in: 0..<1_000_000)
            let minutes = environment["BRIM_FAULT_MINUTES"].flatMap { Double($0) } ?? 3
            print("FaultTests: BRIM_TEST_SEED=\(seed)")
            // The longer it lasts the more there is to hold: disks are always nearly full.
            let quota = 4_000_000 + Int64(minutes * 600_000)
            try await Site.run(quota: quota) { site in
                let history = History(seed: seed)
                var story: [String] = []
                do {
                    let (workload, rotten) = try await workWhileThingsBreak(site, history, seed, minutes, quota, &story)
                    try await settle(site)
                    try await workload.readEverything(patience: .seconds(60))
                    let violations = history.violations()
                    if !violations.isEmpty { throw SwarmFailure(violations.joined(separator: "\n")) }
                    try await site.swarm.waitUntilDisksAgree(try history.finalContents, rotten: rotten)
                    for server in Site.slaves {
                        try await site.swarm.waitFor("nothing under way to \(server)") {
                            try site.swarm.incoming(on: server).isEmpty
                        }
                    }
                    print("FaultTests: \(history.acknowledged) acknowledged, 0 lost: \(history.summary)")
                } catch {
                    throw SwarmFailure("seed \(seed)\n\(story.joined(separator: "\n"))\n\(history.summary)\n\(error)")
                }
            }
        }

        /// Returns when all is mended and the clients were answered again.
        private func workWhileThingsBreak(
            _ site: Site, _ history: History, _ seed: UInt64, _ minutes: Double, _ quota: Int64, _ story: inout [String]
        ) async throws -> (Workload, rotten: Set<String>) {
            let masters = site.swarm.masters.map(site.swarm.url(of:))
            func client(first: Int, offline: Bool = false) throws -> BrimClient {
                let client = try BrimClient(
                    masters: Array(masters[first...] + masters[..<first]), memory: nil, readsOffline: offline,
                    password: site.swarm.password, logger: Logger(label: "client") { _ in SwiftLogNoOpLogHandler() })
                site.swarm.atEnd { await client.shutdown() }
                return client
            }
            let workload = Workload(
                clients: try masters.indices.map { try client(first: $0) },
                offline: try client(first: 0, offline: true), history: history, seed: seed,
                scratch: site.swarm.scratch)
            let supervisor = Task { await site.supervise() }
            let work = Task { await workload.run() }
            let watch = Task { await firstExcess(site, quota) }
            defer { supervisor.cancel() }
            var saboteurs = [Fault.ofProcesses, Fault.ofNetwork, Fault.ofDisks].enumerated().map { number, faults in
                Saboteur(site, faults, seed: seed &+ UInt64(number) &* 17)
            }
            let failures = await withTaskGroup(of: (Saboteur, (any Error)?).self) { group in
                for saboteur in saboteurs {
                    group.addTask {
                        var saboteur = saboteur
                        do {
                            try await saboteur.run(for: .seconds(minutes * 60))
                            return (saboteur, nil)
                        } catch {
                            return (saboteur, error)
                        }
                    }
                }
                return await group.reduce(into: []) { $0.append($1) }
            }
            saboteurs = failures.map(\.0)
            story = saboteurs.flatMap(\.story).sorted { $0.time < $1.time }
                .map { "\(($0.time / .milliseconds(100)).rounded() / 10) s: \($0.what)" }
            let counts = saboteurs.reduce(into: [Fault: Int]()) { $0.merge($1.counts, uniquingKeysWith: +) }
            print(
                "FaultTests: faults \(counts.values.reduce(0, +)): "
                    + counts.map { "\($0.key) \($0.value)" }.sorted().joined(separator: ", ")
                    + "; daemons started again \(site.restarts) times")
            var trouble: (any Error)? = failures.compactMap(\.1).first
            do {
                try await site.mendEverything()
                if trouble == nil {
                    let before = history.acknowledged
                    try await site.swarm.waitFor("requests are answered again") { history.acknowledged >= before + 60 }
                }
            } catch {
                trouble = trouble ?? error
            }
            work.cancel()
            watch.cancel()
            await work.value
            if let excess = await watch.value { throw SwarmFailure(excess) }
            if let trouble { throw trouble }
            try await startAnewWhatHasFailed(site)
            try await site.swarm.waitUntilUp(Site.slaves)
            return (workload, saboteurs.reduce(into: []) { $0.formUnion($1.rotten) })
        }

        /// What an operator does about a server whose disk has failed, once that is mended: it takes no more writes before it is
        /// started anew.
        private func startAnewWhatHasFailed(_ site: Site) async throws {
            var started: Set<String> = []
            try await site.swarm.waitFor("no server says that its disk is failing") {
                let servers = try await site.swarm.status().servers
                for server in servers where server.fault != nil && started.insert(server.name.rawValue).inserted {
                    try await site.kill([server.name.rawValue])
                    site.start([server.name.rawValue])
                }
                return servers.allSatisfy { $0.state == .up && $0.fault == nil }
            }
        }

        /// Finds what has rotted unseen, and waits until all is repaired.
        private func settle(_ site: Site) async throws {
            try await site.mongo.waitUntilWhole()
            try await site.swarm.waitUntilAtRest(Site.slaves)
            try await site.swarm.waitFor("every copy is whole", within: .seconds(120)) {
                try await site.swarm.cli(["verify", "-r", "/"]).status == 0
            }
            try await site.swarm.waitUntilAtRest(Site.slaves)
        }

        /// Looks at the disks until it is cancelled, and says which was filled beyond its quota first.
        private func firstExcess(_ site: Site, _ quota: Int64) async -> String? {
            while !Task.isCancelled {
                for server in Site.slaves {
                    // A disk that has no power tells nothing.
                    guard let bytes = try? site.swarm.leastBytes(on: server) else { continue }
                    if bytes > quota { return "\(server) held \(bytes) bytes of a quota of \(quota)" }
                }
                try? await Task.sleep(for: .milliseconds(100))
            }
            return nil
        }
    }
}
