import BrimModel
import BrimPlacement
import Testing

/// What losses would do, against counting them out.
@Suite struct FailureBudgetTests {
    private static let names = (0..<7).map { name("s\($0)") }

    /// Each file as a group of its own, with its holders' states.
    private static func groups(_ seed: UInt64) -> [FailureBudget.Group] {
        var random = SeededGenerator(seed: seed)
        let most = Int.random(in: 1...5, using: &random)
        return (0..<Int.random(in: 0...60, using: &random)).map { _ in
            let readable = Set(names.shuffled(using: &random).prefix(Int.random(in: 1...most, using: &random)))
            // Of some the server is draining: it can be read, and does not count.
            let counted = readable.filter { _ in Int.random(in: 0..<8, using: &random) > 0 }
            return FailureBudget.Group(
                counted: counted, readable: readable, surplus: counted.count - Int.random(in: 1...4, using: &random),
                files: Int64.random(in: 1...3, using: &random), bytes: Int64.random(in: 0...100, using: &random))
        }
    }

    /// What is asked of the store.
    private static func told(_ groups: [FailureBudget.Group]) -> [FailureBudget.Group] {
        let least = groups.filter { $0.counted.count > 2 }.map(\.surplus).min() ?? .max - 1
        return groups.filter { $0.counted.count <= 2 || $0.surplus <= least + 1 }
    }

    private static func count(_ servers: [ServerName], _ groups: [FailureBudget.Group]) -> (
        loss: FailureBudget.Loss, filesAtMin: Int64
    ) {
        var loss = FailureBudget.Loss(servers: servers, minSurplus: nil, filesLost: 0, bytesLost: 0)
        var after: [Int: Int64] = [:]
        for group in groups {
            if group.readable.subtracting(servers).isEmpty {
                loss.filesLost += group.files
                loss.bytesLost += group.bytes
            } else {
                after[group.surplus - group.counted.intersection(servers).count, default: 0] += group.files
            }
        }
        loss.minSurplus = after.keys.min()
        return (loss, loss.minSurplus.flatMap { after[$0] } ?? 0)
    }

    @Test(arguments: 0..<300 as Range<UInt64>)
    func theWorstIsFound(seed: UInt64) throws {
        let groups = Self.groups(seed)
        let budget = FailureBudget(servers: Self.names, groups: Self.told(groups))
        let pairs = Self.names.indices.flatMap { a in Self.names[(a + 1)...].map { [Self.names[a], $0] } }
        for (found, losses) in [(budget.one, Self.names.map { [$0] }), (budget.two, pairs)] {
            let found = try #require(found)
            let all = losses.map { Self.count($0, groups) }
            let same = try #require(all.first { $0.loss.servers == found.servers })
            #expect(found == same.loss, "as counted")
            func rank(_ each: (loss: FailureBudget.Loss, filesAtMin: Int64)) -> (Int64, Int) {
                (each.loss.filesLost, -(each.loss.minSurplus ?? .max))
            }
            for other in all { #expect(rank(other) <= rank(same), "\(other.loss) is worse than \(found)") }
        }
    }

    @Test func thereMayBeTooFewServers() {
        let none = FailureBudget(servers: [], groups: [])
        #expect(none.one == nil && none.two == nil)
        let alone = FailureBudget(
            servers: [Self.names[0]],
            groups: [.init(counted: [Self.names[0]], readable: [Self.names[0]], surplus: -1, files: 3, bytes: 30)])
        #expect(alone.one == .init(servers: [Self.names[0]], minSurplus: nil, filesLost: 3, bytesLost: 30))
        #expect(alone.two == nil)
    }

    /// Of pairs that lose the same the one is named that leaves most files at the least surplus.
    @Test func mostFilesAtTheLeastSurplus() {
        let (a, b, c) = (Self.names[0], Self.names[1], Self.names[2])
        let budget = FailureBudget(
            servers: [a, b, c],
            groups: [
                .init(counted: [a, b, c], readable: [a, b, c], surplus: 0, files: 1, bytes: 1),
                .init(counted: [b, c], readable: [a, b, c], surplus: 0, files: 5, bytes: 5),
            ])
        #expect(budget.one == .init(servers: [b], minSurplus: -1, filesLost: 0, bytesLost: 0))
        #expect(budget.two == .init(servers: [b, c], minSurplus: -2, filesLost: 0, bytesLost: 0))
    }
}
