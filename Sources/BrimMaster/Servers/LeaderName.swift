import Synchronization

/// The URL of the leader, as far as this master knows one.
final class LeaderName: Sendable {
    private let name = Mutex<String?>(nil)
    var value: String? {
        get { name.withLock { $0 } }
        set { name.withLock { $0 = newValue } }
    }
}
