import BrimWire
import Synchronization

/// The masters of a swarm that a client knows of, in the order in which they are asked: the one that answered last, those
/// it was told of, those it has learned of.
final class KnownMasters: Sendable {
    /// How often it is asked which masters there are, at most.
    private static let interval = Duration.seconds(60)

    private struct State {
        var last: String?
        var learned: [String]
        var asked: ContinuousClock.Instant?
    }
    private let told: [String]
    private let memory: MasterMemory?
    private let state: Mutex<State>

    init(_ masters: [String], memory: MasterMemory?) {
        told = masters
        self.memory = memory
        let remembered = memory?.read()
        var state = State(learned: LocalAddress.newMasters(remembered?.masters ?? [], besides: masters))
        if let remembered, remembered.age < Self.interval { state.asked = .now }
        self.state = Mutex(state)
    }

    var inTurn: [String] {
        state.withLock { state in
            let all = told + state.learned
            guard let last = state.last else { return all }
            return [last] + all.filter { $0 != last }
        }
    }

    func answered(_ master: String) { state.withLock { $0.last = master } }

    /// Whether it is time to ask which masters there are; then it is not for a while.
    func isDue() -> Bool {
        let now = ContinuousClock.now
        return state.withLock { state in
            if let asked = state.asked, now - asked < Self.interval { return false }
            state.asked = now
            return true
        }
    }

    /// These masters live.
    func learn(_ urls: [String]) {
        state.withLock { $0.learned = LocalAddress.newMasters(urls, besides: told) }
        memory?.write(urls)
    }
}
