import BrimTestKit
import Foundation
import Synchronization

/// Three machines with a MongoDB member and a master each, and four with a slave on a disk of its own, on one network.
final class Site: Sendable {
    /// Machines of masters, by the name of the master.
    static let masters = ["master", "master-2", "master-3"]
    static let slaves = ["s1", "s2", "s3", "s4"]
    /// Where bits may rot: never on two servers, since two copies that rot at once are not promised to be survived.
    static let rotting = "s4"

    /// Whose clock may be wrong: one master's at a time, and one server's.
    static let clocks = ["master-3", "s2"]

    /// What of one slave's machine can break.
    struct Node: Sendable {
        let disk: TestDisk
        let faults: NodeFaults

        /// For a slave that is not started yet; goes with the swarm. As ``TestDisk/make(at:bytes:inodes:writeback:image:)``.
        init(_ name: String, of swarm: Swarm, bytes: Int64, inodes: Int, writeback: Int = 5) async throws {
            let disk = try await TestDisk.make(
                at: swarm.data(of: name), bytes: bytes, inodes: inodes, writeback: writeback,
                image: swarm.directory.appending(path: "\(name).image"))
            swarm.atEnd { await disk.remove() }
            self.disk = disk
            faults = try NodeFaults(disk: disk.place, control: swarm.directory.appending(path: "\(name).faults"))
            swarm.setEnvironment(of: name, faults.environment)
        }
    }

    private struct State {
        /// Daemons that were ended on purpose and are not to be started.
        var ended: Set<String> = []
        /// Slaves whose disk somebody is at.
        var taken: Set<String> = []
        var restarts = 0
    }

    let swarm: Swarm
    let mongo: PrivateReplicaSet
    let network: TestNetwork
    let nodes: [String: Node]
    private let state = Mutex(State())

    private init(_ swarm: Swarm, _ mongo: PrivateReplicaSet, _ network: TestNetwork, _ nodes: [String: Node]) {
        (self.swarm, self.mongo, self.network, self.nodes) = (swarm, mongo, network, nodes)
    }

    /// Starts it all, and removes it after `body`.
    ///
    /// - Parameter quota: bytes of each slave.
    static func run(quota: Int64, _ body: (Site) async throws -> Void) async throws {
        let network = try await TestNetwork.make(masters + slaves)
        do {
            let mongo = try await PrivateReplicaSet.start(on: try masters.map(network.host))
            do {
                try await run(quota: quota, network, mongo, body)
            } catch {
                await mongo.stop()
                throw error
            }
            await mongo.stop()
        } catch {
            await network.remove()
            throw error
        }
        await network.remove()
    }

    private static func run(
        quota: Int64, _ network: TestNetwork, _ mongo: PrivateReplicaSet, _ body: (Site) async throws -> Void
    ) async throws {
        var options = SwarmOptions.watchful(["--copies", "2"])
        options.database = .at(mongo)
        for name in masters + slaves { options.hosts[name] = try network.host(name) }
        try await Swarm.run(options) { swarm in
            var nodes: [String: Node] = [:]
            for name in slaves {
                nodes[name] = try await Node(name, of: swarm, bytes: quota + 40_000_000, inodes: 20_000)
            }
            let site = Site(swarm, mongo, network, nodes)
            try await swarm.startMasters(masters.count)
            try await swarm.startSlaves(slaves, quota: "\(quota)", ["--pending-expiry", "10s"])
            try await body(site)
        }
    }

    // MARK: - Daemons

    /// Kills daemons at once; nobody starts them before ``start(_:)``.
    func kill(_ names: [String]) async throws {
        state.withLock { $0.ended.formUnion(names) }
        for name in names { try swarm.process(of: name).send(SIGKILL) }
        for name in names { try await swarm.process(of: name).waitForExit(within: .seconds(20)) }
    }

    func start(_ names: [String]) {
        state.withLock { $0.ended.subtract(names) }
    }

    /// Starts what has ended and should run, as systemd does, until the task is cancelled.
    func supervise() async {
        while !Task.isCancelled {
            restartWhatEnded()
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    private func restartWhatEnded() {
        for name in Self.masters + Self.slaves where !state.withLock({ $0.ended.contains(name) }) {
            guard let process = try? swarm.process(of: name), !process.isRunning else { continue }
            if (try? swarm.relaunch(name)) != nil { state.withLock { $0.restarts += 1 } }
        }
    }

    /// How often a daemon was started again.
    var restarts: Int { state.withLock { $0.restarts } }

    // MARK: - Disks

    /// Runs `body` with those of the slaves whose disk nobody else is at, unless there is none, and keeps others away meanwhile.
    func withDisk(of candidates: [String], _ body: ([String]) async throws -> Void) async throws {
        let free = state.withLock { state in
            let free = candidates.filter { !state.taken.contains($0) }
            state.taken.formUnion(free)
            return free
        }
        defer { state.withLock { $0.taken.subtract(free) } }
        if !free.isEmpty { try await body(free) }
    }

    /// Mends all that may be broken.
    func mendEverything() async throws {
        try await network.set(cut: [])
        for name in Self.masters + Self.slaves { try swarm.process(of: name).send(SIGCONT) }
        for node in nodes.values {
            try node.faults.set()
            try await node.disk.makeRoom()
        }
        start(Self.masters + Self.slaves)
        for member in 0..<mongo.count {
            mongo.thaw(member)
            if !mongo.isRunning(member) { try mongo.relaunch(member) }
        }
    }
}
