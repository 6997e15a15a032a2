import Synchronization

/// One lock per key for work that spans `await`; waiters are served in the order they came.
///
/// Waiting is not cut short by cancellation: holders finish by themselves.
package final class KeyedLock<Key: Hashable & Sendable>: Sendable {
    /// Present while held; the value are those who wait.
    private let holders = Mutex<[Key: [CheckedContinuation<Void, Never>]]>([:])

    package init() {}

    /// Takes the lock if nobody holds it.
    package func tryAcquire(_ key: Key) -> Bool {
        holders.withLock { holders in
            guard holders[key] == nil else { return false }
            holders[key] = []
            return true
        }
    }

    package func acquire(_ key: Key) async {
        await withCheckedContinuation { continuation in
            let isFree = holders.withLock { holders in
                if holders[key] == nil {
                    holders[key] = []
                    return true
                }
                holders[key]?.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    package func release(_ key: Key) {
        let next = holders.withLock { holders -> CheckedContinuation<Void, Never>? in
            guard var waiting = holders[key], !waiting.isEmpty else {
                holders[key] = nil
                return nil
            }
            let next = waiting.removeFirst()
            holders[key] = waiting
            return next
        }
        next?.resume()
    }

    package func isHeld(_ key: Key) -> Bool { holders.withLock { $0[key] != nil } }

    package func withLock<Value>(_ key: Key, _ body: () async throws -> Value) async rethrows -> Value {
        await acquire(key)
        defer { release(key) }
        return try await body()
    }
}

/// A lock with one key.
package typealias AsyncLock = KeyedLock<OnlyKey>

package enum OnlyKey: Hashable, Sendable { case key }

extension KeyedLock where Key == OnlyKey {
    package func withLock<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        try await withLock(.key, body)
    }
}
