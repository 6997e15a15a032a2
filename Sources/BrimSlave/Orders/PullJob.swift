import BrimModel
import BrimWire
import Synchronization

/// One pull that a leader ordered, with the room reserved for it.
final class PullJob: Sendable {
    let term: Int64
    /// The URL that wants to hear how it ended.
    let leader: String
    let sequence: Int64
    let pull: Order.Pull
    let reservation: Reservation
    private let cancelled = Atomic(false)

    init(term: Int64, leader: String, sequence: Int64, pull: Order.Pull, reservation: Reservation) {
        self.term = term
        self.leader = leader
        self.sequence = sequence
        self.pull = pull
        self.reservation = reservation
    }

    /// The blob was given up before it arrived.
    var isCancelled: Bool { cancelled.load(ordering: .acquiring) }
    func cancel() { cancelled.store(true, ordering: .releasing) }

    /// Throws `.conflict` when cancelled.
    func check() throws {
        guard isCancelled else { return }
        throw BrimError(.conflict, "a later order gave the blob up", retryable: false)
    }

    func completion(_ error: BrimError?, badSources: [ServerName]) -> CompletionsRequest.Item {
        .init(sequence: sequence, file: pull.label.file, blob: pull.blob, error: error, badSources: badSources)
    }
}
