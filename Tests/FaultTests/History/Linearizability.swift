/// Whether the operations on a group of paths could have happened one after the other, each at one moment between its
/// beginning and its end, with the outcomes that they had.
///
/// A search over who came next, which remembers where it has been: the algorithm of Wing and Gong ("Testing and Verifying
/// Concurrent Objects", 1993) with the memory of Lowe ("Testing for Linearizability", 2017). An operation of unknown outcome may have
/// happened at any time after its beginning, or never.
struct Linearizability {
    enum Verdict: Equatable {
        case linearizable
        /// With the longest sequence that could be, and those that had an outcome and are not in it.
        case violated(String)
        /// More possibilities than are looked at.
        case tooMany
    }

    /// Operations of one group.
    static let most = 120
    private static let budget = 300_000

    /// By their beginning.
    private let operations: [Operation]
    /// Those that happened for certain.
    private let certain: UInt128
    /// Values that somebody read.
    private let seen: Set<Operation.Value>

    /// A moment of the search.
    private struct Place {
        /// What has happened.
        var past: UInt128 = 0
        /// What each path holds.
        var paths: [Operation.Value]
    }

    /// Where the search has been.
    private struct Memory {
        private struct Key: Hashable {
            /// Of what happened for certain.
            var past: UInt128
            var paths: [Operation.Value]
        }
        /// With which ones of unknown outcome used up.
        private var places: [Key: [UInt128]] = [:]
        private(set) var count = 0

        /// Whether this is new: with fewer of unknown outcome used up all that follows could follow, too.
        mutating func enter(_ place: Place, certain: UInt128) -> Bool {
            let used = place.past & ~certain
            let key = Key(past: place.past & certain, paths: place.paths)
            guard places[key, default: []].allSatisfy({ $0 & used != $0 }) else { return false }
            places[key]?.removeAll { $0 & used == used }
            places[key, default: []].append(used)
            count += 1
            return true
        }
    }

    /// - Precondition: at most ``most`` operations.
    init(_ operations: [Operation]) {
        precondition(operations.count <= Self.most)
        let sorted = operations.sorted { $0.began < $1.began }
        self.operations = sorted
        seen = sorted.reduce(into: []) { if case .read(let value) = $1.outcome { $0.insert(value) } }
        certain = sorted.indices.reduce(0) { mask, index in
            sorted[index].outcome == .unknown ? mask : mask | 1 << UInt128(index)
        }
    }

    /// - Parameter paths: how many there are; none holds anything at first.
    func check(paths: Int) -> Verdict {
        let start = settled(Place(paths: Array(repeating: 0, count: paths)))
        var memory = Memory()
        _ = memory.enter(start, certain: certain)
        var open: [(place: Place, way: [Int])] = [(start, [])]
        var longest: (place: Place, way: [Int]) = (start, [])
        while let (place, way) = open.popLast() {
            if place.past & certain == certain { return .linearizable }
            if (place.past & certain).nonzeroBitCount > (longest.place.past & certain).nonzeroBitCount {
                longest = (place, way)
            }
            // The last one is looked at first: what ended first, since it is the most likely to have come next.
            let next = candidates(place).sorted { end($0) > end($1) }
            for index in next where !isIdle(index, at: place) {
                guard let after = applied(index, to: place).map(settled), memory.enter(after, certain: certain) else {
                    continue
                }
                open.append((after, way + [index]))
            }
            if memory.count > Self.budget { return .tooMany }
        }
        return .violated(explanation(longest.place, longest.way))
    }

    private func end(_ index: Int) -> Duration {
        operations[index].outcome == .unknown ? .seconds(1_000_000_000) : operations[index].ended
    }

    private func isPast(_ index: Int, _ place: Place) -> Bool { place.past & (1 << UInt128(index)) != 0 }

    /// Those that may come next: nobody who has not happened ended before they began.
    private func candidates(_ place: Place) -> [Int] {
        let left = operations.indices.filter { !isPast($0, place) }
        guard let horizon = left.map(end).min() else { return [] }
        return left.filter { operations[$0].began <= horizon }
    }

    /// What only looks, and saw what is there, has happened as soon as it may have: nothing is made impossible by that.
    private func settled(_ place: Place) -> Place {
        var place = place
        while let index = candidates(place).first(where: { looksOnly($0) && applied($0, to: place) != nil }) {
            place.past |= 1 << UInt128(index)
        }
        return place
    }

    /// What may have happened or not, and if it did, explains nothing that is not explained without: a value over another one
    /// which nobody sees, the removal of nothing.
    private func isIdle(_ index: Int, at place: Place) -> Bool {
        guard operations[index].outcome == .unknown else { return false }
        return switch operations[index].action {
        case .put(let path, let value): place.paths[path] != 0 && !seen.contains(value)
        case .remove(let path), .rename(let path, _): place.paths[path] == 0
        case .get: true
        }
    }

    private func looksOnly(_ index: Int) -> Bool {
        switch operations[index].outcome {
        case .read, .nothingThere: true
        case .done, .unknown: false
        }
    }

    /// nil: it cannot have had its outcome there.
    private func applied(_ index: Int, to place: Place) -> Place? {
        var next = place
        next.past |= 1 << UInt128(index)
        let operation = operations[index]
        switch (operation.action, operation.outcome) {
        case (.put(let path, let value), .done), (.put(let path, let value), .unknown):
            next.paths[path] = value
        case (.get(let path), .read(let value)):
            if place.paths[path] != value { return nil }
        case (.remove(let path), .done):
            if place.paths[path] == 0 { return nil }
            next.paths[path] = 0
        case (.remove(let path), .unknown):
            next.paths[path] = 0
        case (.remove(let path), .nothingThere), (.rename(let path, _), .nothingThere):
            if place.paths[path] != 0 { return nil }
        case (.rename(let from, let to), .done), (.rename(let from, let to), .unknown):
            if place.paths[from] == 0 { return operation.outcome == .unknown ? next : nil }
            (next.paths[to], next.paths[from]) = (place.paths[from], 0)
        default:
            return nil
        }
        return next
    }

    private func explanation(_ place: Place, _ way: [Int]) -> String {
        let left = operations.indices.filter { !isPast($0, place) && operations[$0].outcome != .unknown }
        return """
            no order explains what was answered. As far as it goes, the paths hold \(place.paths) (0: no file), and then \
            none of these can come:
            \(left.prefix(6).map { "  \(operations[$0])" }.joined(separator: "\n"))
            All there was (changes in the order tried: \(way)):
            \(operations.enumerated().map { "  [\($0.offset)] \($0.element)" }.joined(separator: "\n"))
            """
    }
}
