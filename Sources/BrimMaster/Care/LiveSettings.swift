import BrimModel
import Synchronization

/// The settings of the swarm as they are at this moment: those who use them read them anew each time.
@dynamicMemberLookup
final class LiveSettings: Sendable {
    private let value: Mutex<SwarmSettings>

    init(_ settings: SwarmSettings) { value = Mutex(settings) }

    var current: SwarmSettings {
        get { value.withLock { $0 } }
        set { value.withLock { $0 = newValue } }
    }

    subscript<Value>(dynamicMember setting: KeyPath<SwarmSettings, Value>) -> Value { current[keyPath: setting] }
}
