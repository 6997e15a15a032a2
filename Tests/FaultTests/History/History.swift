import BrimModel
import Foundation
import Synchronization

/// All that was asked of a swarm, and what was answered, in groups of three paths that are used for a while and then left
/// alone: `/g17/a`, `/g17/b`, `/g17/c`.
final class History: Sendable {
    static let pathsPerGroup = 3
    /// A group is left alone when so many operations were begun, or so many had an unknown outcome: the checker must be
    /// able to look at every order.
    private static let most = (operations: 60, unknown: 8)
    /// Groups in use at once.
    private static let groups = 6

    private struct Group {
        var operations: [Operation] = []
        var begun = 0
        /// Values that were to be written there, acknowledged or not.
        var written: Set<Operation.Value> = []
    }

    private struct State {
        var groups: [Int: Group] = [:]
        var inUse: [Int] = []
        var values = 0
        /// Reads from slaves that knew no master.
        var stale = 0
        var violations: [String] = []
    }

    private let beginning = ContinuousClock.now
    private let seed: UInt64
    private let state = Mutex(State())

    init(seed: UInt64) { self.seed = seed }

    static func path(_ group: Int, _ path: Int) throws -> BrimPath {
        try BrimPath(parsing: "/g\(group)/\(["a", "b", "c"][path])")
    }

    // MARK: - Recording

    /// A group that is in use; a new one instead of those that have been used enough.
    func pick(_ random: inout some RandomNumberGenerator) -> Int {
        state.withLock { state in
            state.inUse.removeAll { number in
                guard let group = state.groups[number] else { return true }
                return group.begun >= Self.most.operations
                    || group.operations.count { $0.outcome == .unknown } >= Self.most.unknown
            }
            while state.inUse.count < Self.groups {
                let number = state.groups.count
                state.groups[number] = Group()
                state.inUse.append(number)
            }
            let group = state.inUse.randomElement(using: &random) ?? 0
            state.groups[group]?.begun += 1
            return group
        }
    }

    /// Bytes that were never written, for one group.
    func newValue(for group: Int) -> Operation.Value {
        state.withLock { state in
            state.values += 1
            state.groups[group]?.written.insert(state.values)
            return state.values
        }
    }

    /// Mostly small: never less than a number needs.
    func bytes(of value: Operation.Value) -> Data {
        let size =
            switch value % 20 {
            case 0: 100_000 + value * 7919 % 200_000
            case 1..<10: 8 + value * 31 % 4000
            default: 4000 + value * 31 % 12_000
            }
        var number = UInt64(value).littleEndian
        return Data(bytes: &number, count: 8) + Data.random(count: size - 8, seed: seed &+ UInt64(value))
    }

    /// Which value these bytes are; nil: none, or not all of it.
    private func value(of bytes: Data) -> Operation.Value? {
        guard bytes.count >= 8 else { return nil }
        let number = bytes.prefix(8).enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
        guard let value = Operation.Value(exactly: number), self.bytes(of: value) == bytes else { return nil }
        return value
    }

    func now() -> Duration { ContinuousClock.now - beginning }

    func record(_ group: Int, _ operation: Operation) {
        state.withLock { $0.groups[group]?.operations.append(operation) }
    }

    /// What was read, as a value. One that nobody has tried to write there is a violation at once.
    func read(_ bytes: Data, group: Int, path: Int) -> Operation.Value {
        let value = value(of: bytes)
        return state.withLock { state in
            if let value, state.groups[group]?.written.contains(value) == true { return value }
            state.violations.append(
                "\(bytes.count) bytes were read from path \(path) of group \(group) that nobody wrote there, value "
                    + "\(value.map(String.init) ?? "none")")
            return -1
        }
    }

    /// A read that a slave answered, as it knew the file last: the bytes must be some that were written.
    func recordStale(_ bytes: Data, group: Int, path: Int) {
        _ = read(bytes, group: group, path: path)
        state.withLock { $0.stale += 1 }
    }

    /// What is there and cannot be read.
    func recordUnreadable(group: Int, path: Int) {
        state.withLock { $0.violations.append("path \(path) of group \(group) cannot be read any more") }
    }

    // MARK: - Judging

    var groups: [Int] { state.withLock { $0.groups.keys.sorted() } }

    /// All that contradicts what a file system promises, in words.
    func violations() -> [String] {
        let (groups, found) = state.withLock { ($0.groups, $0.violations) }
        return found
            + groups.sorted { $0.key < $1.key }.compactMap { number, group in
                switch Linearizability(group.operations).check(paths: Self.pathsPerGroup) {
                case .linearizable: nil
                case .violated(let why): "group \(number): \(why)"
                case .tooMany: "group \(number) has too many possible orders: \(group.operations)"
                }
            }
    }

    /// How many there were of what, with their outcomes; a line.
    var summary: String {
        state.withLock { state in
            var counts: [String: Int] = [:]
            for operation in state.groups.values.flatMap(\.operations) {
                let action =
                    switch operation.action {
                    case .put: "put"
                    case .get: "get"
                    case .remove: "remove"
                    case .rename: "rename"
                    }
                let outcome =
                    switch operation.outcome {
                    case .done, .read: "acknowledged"
                    case .nothingThere: "nothing there"
                    case .unknown: "unknown"
                    }
                counts["\(action) \(outcome)", default: 0] += 1
            }
            counts["stale read"] = state.stale
            return counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
        }
    }

    /// What the last read of each path found.
    var finalContents: [String: Data] {
        get throws {
            let groups = state.withLock { $0.groups }
            var contents: [String: Data] = [:]
            for (number, group) in groups {
                for operation in group.operations.sorted(by: { $0.began < $1.began }) {
                    guard case (.get(let path), .read(let value)) = (operation.action, operation.outcome) else {
                        continue
                    }
                    contents[try Self.path(number, path).description] = value > 0 ? bytes(of: value) : nil
                }
            }
            return contents
        }
    }

    /// Operations with an outcome.
    var acknowledged: Int {
        state.withLock { $0.groups.values.reduce(0) { $0 + $1.operations.count { $0.outcome != .unknown } } }
    }
}
