import BrimTestKit
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What can go wrong. Each lasts a while and is mended.
enum Fault: String, Sendable, CaseIterable {
    // Processes and machines.
    case masterKilled, slaveKilled, mongodKilled, mastersKilled, slavesKilled, masterFrozen, slaveFrozen, mongodFrozen
    case powerLost, powerLostEverywhere, clockWrong
    // The network.
    case hostIsolated, halvesParted, oneWay, notTransitive, packetsLost
    // Disks.
    case diskFull, inodesFull, readsFail, writesFail, bitsRot

    static let ofProcesses: [Fault] = [
        .masterKilled, .slaveKilled, .mongodKilled, .mastersKilled, .slavesKilled, .masterFrozen, .slaveFrozen,
        .mongodFrozen, .powerLost, .powerLostEverywhere, .clockWrong,
    ]
    static let ofNetwork: [Fault] = [.hostIsolated, .halvesParted, .oneWay, .notTransitive, .packetsLost]
    static let ofDisks: [Fault] = [.diskFull, .inodesFull, .readsFail, .writesFail, .bitsRot]
}

/// Has one kind of faults happen, one after the other, at times and places that come from a seed.
struct Saboteur: Sendable {
    let site: Site
    let faults: [Fault]
    private var random: SeededRandom
    /// What was done, with seconds since the beginning.
    private(set) var story: [(time: Duration, what: String)] = []
    private(set) var counts: [Fault: Int] = [:]
    /// Blobs of which a copy has rotted.
    private(set) var rotten: Set<String> = []
    private let beginning = ContinuousClock.now

    init(_ site: Site, _ faults: [Fault], seed: UInt64) {
        self.site = site
        self.faults = faults
        random = SeededRandom(seed: seed)
    }

    /// Goes on for that long. Every fault comes once before any comes twice.
    mutating func run(for time: Duration) async throws {
        var left: [Fault] = []
        while ContinuousClock.now - beginning < time {
            if left.isEmpty { left = faults.shuffled(using: &random) }
            try await pause(300...2500)
            if let fault = left.popLast() { try await inflict(fault) }
        }
    }

    private mutating func pause(_ milliseconds: ClosedRange<Int>) async throws {
        try await Task.sleep(for: .milliseconds(Int.random(in: milliseconds, using: &random)))
    }

    private mutating func note(_ fault: Fault, _ what: String) {
        counts[fault, default: 0] += 1
        story.append((ContinuousClock.now - beginning, "\(fault): \(what)"))
    }

    private mutating func one(_ names: [String]) -> String { names.randomElement(using: &random) ?? "" }

    private mutating func inflict(_ fault: Fault) async throws {
        switch fault {
        case .masterKilled: try await kill(fault, [one(Site.masters)])
        case .slaveKilled: try await kill(fault, [one(Site.slaves)])
        case .mastersKilled: try await kill(fault, Site.masters)
        case .slavesKilled: try await kill(fault, Site.slaves)
        case .masterFrozen: try await freeze(fault, one(Site.masters))
        case .slaveFrozen: try await freeze(fault, one(Site.slaves))
        case .mongodKilled, .mongodFrozen: try await breakMember(fault)
        case .powerLost: try await losePower(fault, [one(Site.slaves)])
        case .powerLostEverywhere: try await losePower(fault, Site.slaves)
        case .clockWrong: try await jumpClock(fault)
        case .hostIsolated, .halvesParted, .oneWay, .notTransitive, .packetsLost: try await partition(fault)
        case .diskFull, .inodesFull, .readsFail, .writesFail: try await breakDisk(fault)
        case .bitsRot: try await rot(fault)
        }
    }

    // MARK: - Processes and machines

    private mutating func kill(_ fault: Fault, _ names: [String]) async throws {
        note(fault, names.joined(separator: ", "))
        try await site.kill(names)
        try await pause(0...4000)
        site.start(names)
    }

    private mutating func freeze(_ fault: Fault, _ name: String) async throws {
        note(fault, name)
        let process = try site.swarm.process(of: name)
        process.send(SIGSTOP)
        try await pause(500...9000)
        process.send(SIGCONT)
    }

    private mutating func breakMember(_ fault: Fault) async throws {
        let member = Int.random(in: 0..<site.mongo.count, using: &random)
        note(fault, "member \(member)")
        if fault == .mongodKilled { await site.mongo.kill9(member) } else { site.mongo.freeze(member) }
        try await pause(500...7000)
        if fault == .mongodKilled { try site.mongo.relaunch(member) } else { site.mongo.thaw(member) }
    }

    private mutating func losePower(_ fault: Fault, _ names: [String]) async throws {
        let wait = Int.random(in: 0...3000, using: &random)
        var hit: [String] = []
        try await site.withDisk(of: names) { names in
            hit = names
            // Nothing is done after what the disk has seen last.
            for name in names { try site.swarm.process(of: name).send(SIGSTOP) }
            for name in names { try await site.nodes[name]?.disk.losePower() }
            try await site.kill(names)
            for name in names { try await site.nodes[name]?.disk.restorePower() }
            try await Task.sleep(for: .milliseconds(wait))
            site.start(names)
        }
        if !hit.isEmpty { note(fault, hit.joined(separator: ", ")) }
    }

    /// By up to two hours, and back; each time the daemon starts anew, since a program's clock cannot be set while it runs.
    private mutating func jumpClock(_ fault: Fault) async throws {
        let name = one(Site.clocks)
        let jump = Duration.seconds(Int.random(in: -7200...7200, using: &random))
        note(fault, "\(name) by \(jump)")
        for ahead in [jump, .zero] {
            try await site.kill([name])
            site.swarm.setClock(of: name, ahead: ahead)
            site.start([name])
            try await pause(2000...8000)
        }
    }

    // MARK: - The network

    private mutating func partition(_ fault: Fault) async throws {
        let hosts = (site.network.names + [TestNetwork.outside]).shuffled(using: &random)
        var (cut, loss): (Set<TestNetwork.Link>, [TestNetwork.Link: Int]) = ([], [:])
        func between(_ some: some Sequence<String>, _ others: some Sequence<String>, bothWays: Bool = true) {
            for from in some {
                for to in others {
                    cut.insert(TestNetwork.Link(from: from, to: to))
                    if bothWays { cut.insert(TestNetwork.Link(from: to, to: from)) }
                }
            }
        }
        switch fault {
        case .hostIsolated:
            let host = one(site.network.names)
            between([host], hosts.filter { $0 != host })
            note(fault, host)
        case .halvesParted:
            let middle = hosts.count / 2
            between(hosts[..<middle], hosts[middle...])
            note(fault, "\(hosts[..<middle].sorted()) from \(hosts[middle...].sorted())")
        case .oneWay:
            let middle = Int.random(in: 1..<hosts.count, using: &random)
            between(hosts[..<middle], hosts[middle...], bothWays: false)
            note(fault, "from \(hosts[..<middle].sorted()) to \(hosts[middle...].sorted())")
        case .notTransitive:
            // Two that do not reach each other, and both reach the rest; and two more such.
            between([hosts[0]], [hosts[1]])
            between([hosts[2]], [hosts[3]])
            note(fault, "between \(hosts[0]) and \(hosts[1]), \(hosts[2]) and \(hosts[3])")
        default:
            let percent = Int.random(in: 2...25, using: &random)
            for from in hosts { for to in hosts where to != from { loss[.init(from: from, to: to)] = percent } }
            note(fault, "\(percent) %")
        }
        try await site.network.set(cut: cut, loss: loss)
        try await pause(500...9000)
        try await site.network.set(cut: [])
    }

    // MARK: - Disks

    private mutating func breakDisk(_ fault: Fault) async throws {
        let (name, wait) = (one(Site.slaves), Int.random(in: 500...8000, using: &random))
        guard let node = site.nodes[name] else { return }
        note(fault, name)
        try await site.withDisk(of: [name]) { _ in
            switch fault {
            case .diskFull: try await node.disk.fill()
            case .inodesFull: try await node.disk.fillInodes()
            case .readsFail: try node.faults.set(readsFail: true)
            default: try node.faults.set(readsFail: true, writesFail: true)
            }
            try await Task.sleep(for: .milliseconds(wait))
            try node.faults.set()
            try await node.disk.makeRoom()
        }
    }

    /// One bit of a copy that is not touched otherwise.
    private mutating func rot(_ fault: Fault) async throws {
        guard
            let blob = try site.swarm.blobs(on: Site.rotting).values.filter({ $0.size > 0 })
                .sorted(by: { $0.path < $1.path }).randomElement(using: &random)
        else { return }
        let at = Int64.random(in: 0..<blob.size, using: &random)
        try await site.withDisk(of: [Site.rotting]) { _ in
            let path = site.swarm.data(of: Site.rotting).appending(path: "blobs/\(blob.path)")
            guard let file = try? FileHandle(forUpdating: path) else { return }
            defer { try? file.close() }
            try file.seek(toOffset: UInt64(at))
            guard let byte = try file.read(upToCount: 1)?.first else { return }
            try file.seek(toOffset: UInt64(at))
            try file.write(contentsOf: Data([byte ^ 0x10]))
        }
        rotten.insert((blob.path as NSString).lastPathComponent)
        note(fault, "\(blob.path) on \(Site.rotting)")
    }
}
