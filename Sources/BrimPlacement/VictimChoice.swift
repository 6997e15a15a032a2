import BrimModel

/// A smallest set of copies on one server that frees enough bytes.
struct VictimChoice {
    /// Most surplus first.
    let victims: [Victim]
    /// The least surplus among them; `Int.max` for none.
    let worst: Int
    let bytes: Int64

    /// Chooses so that the worst victim has the most surplus, then fewest, then few bytes; nil when all together do not
    /// free enough, or more than `most` would be needed.
    init?(freeing needed: Int64, among candidates: [Victim], atMost most: Int) {
        let level = Self.highestLevel(freeing: needed, among: candidates)
        guard needed <= 0 || level != nil else { return nil }
        let allowed = candidates.filter { $0.surplus >= level ?? .max }
            .sorted { ($0.size, $0.surplus, $1.file) > ($1.size, $1.surplus, $0.file) }
        guard let chosen = Self.fewest(freeing: needed, among: allowed), chosen.count <= most else { return nil }
        victims = chosen.sorted { ($0.surplus, $1.file) > ($1.surplus, $0.file) }
        worst = victims.last?.surplus ?? .max
        bytes = victims.reduce(0) { $0 + $1.size }
    }

    func isBetter(than other: VictimChoice) -> Bool {
        if worst != other.worst { return worst > other.worst }
        return (victims.count, bytes) < (other.victims.count, other.bytes)
    }

    /// The highest surplus such that all copies with at least that much free enough.
    private static func highestLevel(freeing needed: Int64, among candidates: [Victim]) -> Int? {
        var sum: Int64 = 0
        for victim in candidates.sorted(by: { $0.surplus > $1.surplus }) {
            sum += victim.size
            if sum >= needed { return victim.surplus }
        }
        return nil
    }

    /// The fewest copies that free enough: the largest, then each exchanged for the smallest that still suffices.
    ///
    /// `candidates` fall in size. Since no fewer would do, none of the result can be dropped.
    private static func fewest(freeing needed: Int64, among candidates: [Victim]) -> [Victim]? {
        var sum: Int64 = 0
        var count = 0
        while sum < needed {
            guard count < candidates.count else { return nil }
            sum += candidates[count].size
            count += 1
        }
        var chosen = Array(0..<count)
        // From the last to the first, so that each finds only smaller ones that are free, and order is kept.
        var end = candidates.count
        for i in chosen.indices.reversed() {
            let others = sum - candidates[chosen[i]].size
            let least = needed - others
            let place = candidates.partitionEnd(in: chosen[i]..<end) { $0.size >= least } - 1
            sum = others + candidates[place].size
            chosen[i] = place
            end = place
        }
        return chosen.map { candidates[$0] }
    }
}

extension Array {
    /// The end of those elements at the start of `range` for which `belongs` holds, by bisection.
    fileprivate func partitionEnd(in range: Range<Int>, where belongs: (Element) -> Bool) -> Int {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = (low + high) / 2
            if belongs(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
