import BrimPlacement
import Synchronization

/// The one planner of a leader, shared by those who decide with it: the replicator and the desk that makes room for writes.
///
/// A decision and the note that it was taken happen in one call, under the lock; what follows from it (updates, orders)
/// happens outside.
final class Ledger: Sendable {
    private let planner: Mutex<Planner>

    init(_ planner: Planner) { self.planner = Mutex(planner) }

    func decide<Decision: Sendable>(_ body: (inout Planner) -> sending Decision) -> Decision {
        planner.withLock { body(&$0) }
    }
}
