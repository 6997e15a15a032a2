import BrimPlacement
import Synchronization

/// The one planner of a leader, shared by those who decide with it: the replicator and the desk that makes room for writes.
///
/// A decision and the note that it was taken happen in one call, under the lock; what follows from it (updates, orders)
/// happens outside.
final class Ledger: Sendable {
    private let planner: Mutex<Planner>
    /// Rung when a server has more room than was known of, whoever was told.
    private let roomier: Bell?

    init(_ planner: Planner, roomier: Bell? = nil) {
        self.planner = Mutex(planner)
        self.roomier = roomier
    }

    func decide<Decision: Sendable>(_ body: (inout Planner) -> sending Decision) -> Decision {
        var isRoomier = false
        let decision = planner.withLock { planner in
            defer { isRoomier = planner.takeNews() }
            return body(&planner)
        }
        if isRoomier { roomier?.ring() }
        return decision
    }
}
