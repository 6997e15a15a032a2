import BrimWire
import Synchronization

/// The masters and slaves of a swarm that a client knows of: those it was told of, which may be slaves too, and those it
/// has learned of.
final class KnownSwarm: Sendable {
    /// How often it is asked where the swarm is, at most.
    private static let interval = Duration.seconds(60)
    /// The same while no slave is known.
    private static let search = Duration.seconds(1)
    /// Slaves that are kept in mind: more are of no use when one is looked for that answers.
    private static let mostSlaves = 256

    private struct State {
        /// The master that answered last.
        var last: String?
        var learned: SwarmAddresses
        var asked: ContinuousClock.Instant?
    }
    private let told: [String]
    private let memory: SwarmMemory?
    private let state: Mutex<State>

    init(_ masters: [String], memory: SwarmMemory?) {
        told = masters
        self.memory = memory
        let remembered = memory?.recall(masters)
        var state = State(learned: Self.useful(remembered?.addresses ?? SwarmAddresses(), told: masters))
        if let remembered, remembered.age < Self.interval { state.asked = .now - remembered.age }
        self.state = Mutex(state)
    }

    /// Masters in the order in which they are asked: the one that answered last, those it was told of, those it has
    /// learned of.
    var masters: [String] {
        state.withLock { state in
            let all = told + state.learned.masters
            guard let last = state.last else { return all }
            return [last] + all.filter { $0 != last }
        }
    }

    /// Where a slave may answer, in no order; then what it was told of, which may be slaves.
    var slaves: [String] {
        let learned = state.withLock { $0.learned.slaves }
        return learned.shuffled() + told.filter { !learned.contains($0) }
    }

    func answered(_ master: String) { state.withLock { $0.last = master } }

    /// Whether it is time to ask where the swarm is; then it is not for a while.
    func isDue() -> Bool {
        let now = ContinuousClock.now
        return state.withLock { state in
            let interval = state.learned.slaves.isEmpty ? Self.search : Self.interval
            if let asked = state.asked, now - asked < interval { return false }
            state.asked = now
            return true
        }
    }

    /// The swarm is there. False when that cannot be kept for the next time.
    @discardableResult
    func learn(_ addresses: SwarmAddresses) -> Bool {
        let addresses = SwarmAddresses(
            masters: addresses.masters, slaves: Array(addresses.slaves.shuffled().prefix(Self.mostSlaves)))
        state.withLock { $0.learned = Self.useful(addresses, told: told) }
        return memory?.note(addresses, for: told) ?? true
    }

    private static func useful(_ addresses: SwarmAddresses, told: [String]) -> SwarmAddresses {
        SwarmAddresses(
            masters: LocalAddress.newMasters(addresses.masters, besides: told),
            slaves: LocalAddress.reachable(addresses.slaves, with: told))
    }
}
