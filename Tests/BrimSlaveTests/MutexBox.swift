import Synchronization

/// A value shared by the parts of a test.
final class MutexBox<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }

    var current: Value { value.withLock { $0 } }

    func withLock<Answer: Sendable>(_ body: (inout Value) throws -> Answer) rethrows -> Answer {
        try value.withLock { value in
            var copy = value
            defer { value = copy }
            return try body(&copy)
        }
    }
}
