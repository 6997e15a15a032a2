import BrimMetadata
import BrimModel
import BrimWire
import Logging

/// One rebuild drill: takes a sample of the metadata, has slaves tell what they know of it, and compares.
struct DrillRun {
    /// Entries in a sample.
    static let sampleSize = 1000
    /// Slaves asked at a time.
    private static let width = 4
    /// Between two looks at what differs.
    private static let pause = Duration.seconds(1)
    /// How long a difference must last at least, and how often as long it is waited for those that are not decided.
    private static let lasting = Duration.seconds(15)
    private static let rounds = 3

    let store: any MetadataStore
    let slaves: any DrillLink
    let clock: any BrimClock
    let logger: Logger
    /// How long a difference must last: longer than it takes until a slave has carried out what it was told.
    let patience: Duration

    init(
        store: any MetadataStore, slaves: any DrillLink, heartbeat: Duration, clock: any BrimClock, logger: Logger
    ) {
        self.store = store
        self.slaves = slaves
        self.clock = clock
        self.logger = logger
        patience = max(Self.lasting, heartbeat * 3)
    }

    /// What came of what one slave said.
    private struct Told: Sendable {
        var testimony: DrillSuspects.Testimony
        var hasNamespace: Bool
    }

    /// Compares the sample on which `chance` (0..<1) falls. Takes longer than `patience` only where something differs. Throws
    /// what the store throws, and `.unavailable` when no slave answers or the master stops.
    func run(on peers: [Peer], at chance: Double) async throws -> DrillReport {
        let (began, at) = (clock.now, clock.timestamp)
        var sample = try await store.sample(at: chance, limit: Self.sampleSize)
        var read = clock.now
        let first = DrillComparison(sample)
        var suspects = DrillSuspects(patience: patience)
        var (answered, behind, silent): (Set<ServerName>, Set<ServerName>, Set<ServerName>) = ([], [], [])
        try await ask(peers, first) { server, told in
            guard let told else { return }
            answered.insert(server)
            if !told.hasNamespace { behind.insert(server) }
            suspects.begin(told.testimony, of: server, read: read)
        }
        guard !answered.isEmpty else {
            throw BrimError(.unavailable, "no slave that is up answers", advice: "brim servers shows how they are")
        }
        while !suspects.open.isEmpty, clock.now - began < patience * Self.rounds {
            guard await clock.pause(Self.pause) else {
                throw BrimError(.unavailable, "the master stops", advice: "Try again at another one")
            }
            sample = try await store.sample(sample.range)
            read = clock.now
            let open = suspects.open
            silent = []
            try await ask(peers.filter { open.contains($0.server) }, DrillComparison(sample)) { server, told in
                if let told {
                    suspects.update(told.testimony, of: server, read: read)
                } else {
                    silent.insert(server)
                }
            }
        }
        silent.formIntersection(suspects.open)
        let undecided = suspects.undecided(without: silent)
        silent.formUnion(peers.map(\.server).filter { !answered.contains($0) })
        behind.formUnion(undecided.behind)
        let differences = suspects.differences
        return DrillReport(
            at: at, seconds: (clock.now - began).inSeconds,
            entries: first.sample.entries.count - undecided.changing.intersection(first.sample.entries.keys).count,
            copies: first.copies(on: answered), servers: answered.count, silent: silent.sorted(),
            behind: behind.sorted(), changing: undecided.changing.count, differing: differences.count,
            differences: Array(differences.prefix(DrillReport.listed)))
    }

    /// Gives each answer to `take` as it comes, so that no more than a few are held at a time; nil for none.
    private func ask(
        _ peers: [Peer], _ comparison: DrillComparison, _ take: (ServerName, Told?) -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: (ServerName, Told?).self) { group in
            var waiting = peers[...]
            func askNext() {
                guard let peer = waiting.popFirst() else { return }
                group.addTask { (peer.server, try await ask(peer, comparison)) }
            }
            for _ in 0..<Self.width { askNext() }
            while let (server, told) = try await group.next() {
                take(server, told)
                askNext()
            }
        }
    }

    private func ask(_ peer: Peer, _ comparison: DrillComparison) async throws -> Told? {
        let asked = clock.now
        let answer: DrillAnswer
        do {
            answer = try await slaves.answer(of: peer, on: comparison.sample)
        } catch let error as BrimError {
            logger.warning(
                "a slave does not tell what it knows", metadata: ["server.name": "\(peer.server)", "error": "\(error)"])
            return nil
        }
        var unknown: Set<BlobID> = []
        var strangers = comparison.strangers(in: answer)[...]
        while !strangers.isEmpty {
            let page = Array(strangers.prefix(Limits.pageEntries))
            strangers = strangers.dropFirst(page.count)
            let owners = try await store.owners(of: page)
            let orphans = page.filter { owners[$0] == nil }
            unknown.formUnion(Set(orphans).subtracting(try await store.tombstoned(orphans)))
        }
        return Told(
            testimony: DrillSuspects.Testimony(
                findings: comparison.findings(answer, of: peer.server, unknown: unknown),
                asOf: answer.namespace?.age.map { asked - $0 }),
            hasNamespace: answer.namespace != nil)
    }
}
