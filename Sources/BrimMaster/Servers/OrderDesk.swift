import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging

/// Sends the leader's orders: one batch at a time to each slave, each with a sequence number of this term.
actor OrderDesk {
    /// One order before it has a number.
    struct Draft: Sendable {
        var evict: [BlobID]
        var pull: Order.Pull?
        init(evict: [BlobID], pull: Order.Pull? = nil) {
            self.evict = evict
            self.pull = pull
        }
    }

    /// What became of a batch.
    struct Receipt: Sendable {
        /// The sequence given to each draft, in order.
        var sequences: [Int64]
        /// Refused pulls by sequence.
        var refused: [Int64: BrimError]
        /// What the slave uses after it.
        var usage: ServerUsage
    }

    /// Pulls remembered for one server; when there are more, the older half is forgotten: their blobs are settled when the
    /// slave asks about them.
    private static let memory = 65_536

    nonisolated let term: Int64
    private let roster: Roster
    private let ledger: Ledger
    private let slaves: any SlaveLink
    private var sequence: Int64 = 0
    private var gates: [ServerName: AsyncGate] = [:]
    /// The last pull ordered of each blob that was not entered yet, nor given up since.
    private var pulls: [ServerName: [BlobID: Int64]] = [:]
    private var entering: [ServerName: AsyncGate] = [:]
    /// The copies entered last on each server, in two halves of which the older one is dropped when the newer is full.
    private var latest: [ServerName: (newer: Set<BlobID>, older: Set<BlobID>)] = [:]
    private static let latestHalf = 1024
    private var departures: [ServerName: Departures] = [:]

    init(term: Int64, roster: Roster, ledger: Ledger, slaves: any SlaveLink) {
        self.term = term
        self.roster = roster
        self.ledger = ledger
        self.slaves = slaves
    }

    /// Sends a batch and waits for the slave's answer; the roster then knows the slave's usage after it. Throws when the
    /// slave did not answer: whether the batch was carried out is then unknown, and its next usage tells.
    func send(_ drafts: [Draft], to server: ServerName, deadline: Duration = .seconds(30)) async throws -> Receipt {
        let gate = gates[server] ?? AsyncGate()
        gates[server] = gate
        do {
            return try await gate.exclusively { try await self.sendNow(drafts, to: server, deadline: deadline) }
        } catch {
            departures[server]?.takeBack(drafts.flatMap(\.evict))
            throw error
        }
    }

    private func sendNow(_ drafts: [Draft], to server: ServerName, deadline: Duration) async throws -> Receipt {
        let peer = try await roster.peer(server)
        let leader = await roster.masterURL(for: server)
        let orders = drafts.map { draft in
            sequence += 1
            for blob in draft.evict { pulls[server]?[blob] = nil }
            departures[server, default: Departures()].note(draft.evict, knownFrom: sequence)
            if let pull = draft.pull {
                // The server may take the copy that it is about to be told to delete for the one that it pulls.
                let leaves = departures[server]?.isAnnounced(pull.blob) ?? false
                pulls[server, default: [:]][pull.blob] = leaves ? nil : sequence
            }
            return Order(sequence: sequence, evict: draft.evict, pull: draft.pull)
        }
        if let known = pulls[server], known.count > Self.memory {
            let oldest = known.values.sorted()[known.count / 2]
            pulls[server] = known.filter { $0.value >= oldest }
        }
        let batch = OrderBatch(term: term, orders: orders, leader: leader)
        let reply = try await slaves.order(peer, batch, deadline: deadline)
        await roster.note(server, usage: reply.usage)
        ledger.decide { $0.heard(reply.usage, from: server) }
        return Receipt(
            sequences: orders.map(\.sequence),
            refused: Dictionary(reply.refused.map { ($0.sequence, $0.error) }) { first, _ in first },
            usage: reply.usage)
    }

    // MARK: - What a slave may enter

    /// Enters copies on a server, or gives some up there: not both at once.
    func exclusively<Value: Sendable>(
        on server: ServerName, _ body: @Sendable () async throws -> Value
    ) async throws -> Value {
        let gate = entering[server] ?? AsyncGate()
        entering[server] = gate
        return try await gate.exclusively(body)
    }

    /// Whether an order of this leader to pull each of these blobs stands: its completion was not entered yet, and the
    /// blob was not given up there since. A completion that comes again, or late, says nothing of what the slave has now.
    func awaits(_ items: [CompletionsRequest.Item], on server: ServerName, term: Int64) -> [Bool] {
        items.map { term == self.term && pulls[server]?[$0.blob] == $0.sequence }
    }

    /// What slaves said of pulls of these blobs before now is void.
    func void(_ blobs: [BlobID], on server: ServerName) {
        for blob in blobs { pulls[server]?[blob] = nil }
    }

    // MARK: - What a slave may be taken to hold

    /// Copies of these are about to be given up on a server: what it said of pulls of them, or in lists of what it holds,
    /// is void from now on.
    func announce(_ blobs: [BlobID], on server: ServerName) {
        void(blobs, on: server)
        departures[server, default: Departures()].announce(blobs)
    }

    /// Copies that were announced stay where they are.
    func takeBack(_ blobs: [BlobID], on server: ServerName) { departures[server]?.takeBack(blobs) }

    /// A server says that it lost these: lists that it made before it has carried out another order may still name them.
    func left(_ blobs: [BlobID], on server: ServerName) {
        departures[server, default: Departures()].note(blobs, knownFrom: sequence + 1)
    }

    /// Of which of these blobs a list that names them, read at a position, can be believed.
    func believes(_ blobs: [BlobID], on server: ServerName, at position: OrderPosition) -> [Bool] {
        guard position.term == term else { return blobs.map { _ in false } }
        let known = departures[server] ?? Departures()
        return blobs.map { known.believes($0, at: position.sequence) }
    }

    /// Has a server say anew what it holds, at a position from which all that was ordered until now is known.
    func askAnew(_ server: ServerName) async {
        // An order of nothing. Unanswered, it is sent again when the next list comes too early.
        _ = try? await send([Draft(evict: [])], to: server, deadline: .seconds(5))
        await roster.doubt(server)
    }

    /// These are entered on a server now: what it says of an earlier loss of them may still be on its way.
    func entered(_ blobs: [BlobID], on server: ServerName) {
        var known = latest[server] ?? ([], [])
        for blob in blobs {
            if known.newer.count >= Self.latestHalf { known = ([], known.newer) }
            known.newer.insert(blob)
        }
        latest[server] = known
    }

    /// Whether a copy of one of these has just come to a server that is said to have lost it: what says so may have been on
    /// its way for long, and be of an earlier copy.
    func hasLatest(_ blobs: [BlobID], on server: ServerName) -> Bool {
        guard let known = latest[server] else { return false }
        return blobs.contains { known.newer.contains($0) || known.older.contains($0) }
    }
}
