import BrimModel

/// What the loss of any one server, and of any two, would do at once, before anything is copied again.
public struct FailureBudget: Sendable, Hashable {
    /// The loss of certain servers.
    public struct Loss: Sendable, Hashable {
        public var servers: [ServerName]
        /// min(k − n) of the files that can still be read; nil when there are none.
        public var minSurplus: Int?
        /// Files of which no copy would be left that can be read, and their bytes.
        public var filesLost: Int64
        public var bytesLost: Int64

        public init(servers: [ServerName], minSurplus: Int?, filesLost: Int64, bytesLost: Int64) {
            self.servers = servers
            self.minSurplus = minSurplus
            self.filesLost = filesLost
            self.bytesLost = bytesLost
        }
    }

    /// Readable files with the same holders and the same surplus.
    public struct Group: Sendable, Hashable {
        /// Holders that count.
        public var counted: Set<ServerName>
        /// Holders that can be read.
        public var readable: Set<ServerName>
        public var surplus: Int
        public var files: Int64
        public var bytes: Int64

        public init(
            counted: Set<ServerName>, readable: Set<ServerName>, surplus: Int, files: Int64, bytes: Int64
        ) {
            self.counted = counted
            self.readable = readable
            self.surplus = surplus
            self.files = files
            self.bytes = bytes
        }
    }

    /// The worst one to lose; nil where there is no server.
    public var one: Loss?
    /// The worst two; nil where there are fewer.
    public var two: Loss?

    public init(one: Loss?, two: Loss?) {
        self.one = one
        self.two = two
    }

    /// The worst losses: those after which most files have no copy; then the least min(k − n), which most files have.
    ///
    /// `groups` are all readable files with at most two counted holders, and of the others those whose surplus is at most one
    /// above their least. No loss of two servers takes a file that has three or more, nor more than 2 from any surplus: so what
    /// is not among them cannot be the least, and the answer is exact.
    public init(servers: [ServerName], groups: [Group]) {
        let servers = servers.sorted()
        var before: [Int: Int64] = [:]
        var single: [ServerName: Toll] = [:]
        // What the loss of two does beyond what each of them does: there is such only where they have files in common.
        var together: [ServerName: [ServerName: Toll]] = [:]
        for group in groups {
            before[group.surplus, default: 0] += group.files
            let holders = group.counted.union(group.readable).sorted()
            for (place, a) in holders.enumerated() {
                single[a, default: Toll()].add(group, losing: [a])
                for b in holders[(place + 1)...] {
                    together[a, default: [:]][b, default: Toll()].add(group, losing: a, b)
                }
            }
        }
        var (one, two) = (Worst(), Worst())
        for (place, a) in servers.enumerated() {
            let tollOfA = single[a] ?? Toll()
            one.consider([a], tollOfA, before)
            for b in servers[(place + 1)...] {
                var toll = tollOfA
                if let other = single[b] { toll.add(other) }
                if let common = together[a]?[b] { toll.add(common) }
                two.consider([a, b], toll, before)
            }
        }
        self.init(one: one.loss, two: two.loss)
    }

    /// What a loss does.
    private struct Toll {
        var filesLost: Int64 = 0
        var bytesLost: Int64 = 0
        /// Files by the surplus that they have after it, less those that they had before it.
        var change: [Int: Int64] = [:]

        mutating func add(_ group: Group, losing servers: Set<ServerName>, times sign: Int64 = 1) {
            change[group.surplus, default: 0] -= sign * group.files
            if group.readable.isSubset(of: servers) {
                filesLost += sign * group.files
                bytesLost += sign * group.bytes
            } else {
                change[group.surplus - group.counted.intersection(servers).count, default: 0] += sign * group.files
            }
        }

        mutating func add(_ group: Group, losing a: ServerName, _ b: ServerName) {
            add(group, losing: [a, b])
            add(group, losing: [a], times: -1)
            add(group, losing: [b], times: -1)
        }

        mutating func add(_ other: Toll) {
            filesLost += other.filesLost
            bytesLost += other.bytesLost
            change.merge(other.change, uniquingKeysWith: +)
        }
    }

    /// The worst of the losses looked at.
    private struct Worst {
        private(set) var loss: Loss?
        private var filesAtMin: Int64 = 0

        mutating func consider(_ servers: [ServerName], _ toll: Toll, _ before: [Int: Int64]) {
            var least: (surplus: Int, files: Int64)?
            for surplus in Set(before.keys).union(toll.change.keys) {
                let files = before[surplus, default: 0] + toll.change[surplus, default: 0]
                if files > 0, surplus < least?.surplus ?? .max { least = (surplus, files) }
            }
            let new = Loss(
                servers: servers, minSurplus: least?.surplus, filesLost: toll.filesLost, bytesLost: toll.bytesLost)
            guard loss.map({ Self.rank(new, least?.files ?? 0) > Self.rank($0, filesAtMin) }) ?? true else { return }
            (loss, filesAtMin) = (new, least?.files ?? 0)
        }

        /// Greater is worse.
        private static func rank(_ loss: Loss, _ filesAtMin: Int64) -> (Int64, Int, Int64) {
            (loss.filesLost, -(loss.minSurplus ?? .max), filesAtMin)
        }
    }
}
