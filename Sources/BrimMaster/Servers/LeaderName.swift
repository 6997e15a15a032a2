import Synchronization

/// The name under which the leader is shown; nil until it listens.
final class LeaderName: Sendable {
    private let name = Mutex<String?>(nil)
    var value: String? {
        get { name.withLock { $0 } }
        set { name.withLock { $0 = newValue } }
    }
}
