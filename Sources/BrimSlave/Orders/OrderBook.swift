import BrimModel

/// Which orders of which leader have been carried out.
package struct OrderBook: Sendable {
    /// Orders remembered; when there are more, the older half is taken as carried out.
    static let memory = 8192

    /// The highest term seen.
    package private(set) var term: Int64
    private var done: Set<Int64>
    /// Every lower sequence counts as carried out.
    package private(set) var oldest: Int64
    private var refusals: [Int64: BrimError] = [:]

    /// As the catalog remembers it.
    package init(term: Int64, sequences: [Int64]) {
        self.term = term
        done = Set(sequences)
        oldest = sequences.count >= Self.memory / 2 ? (sequences.min() ?? .min) : .min
    }

    /// The orders of a batch that have not been carried out, in order. Throws `.conflict` for a term that is over.
    package func fresh(_ orders: [(sequence: Int64, index: Int)], term batch: Int64) throws -> [Int] {
        guard batch >= term else {
            throw BrimError(
                .conflict, "orders of term \(batch) are refused: a leader of term \(term) has been heard",
                retryable: false)
        }
        var seen = batch == term ? done : []
        return orders.sorted { $0.sequence < $1.sequence }.filter { order in
            (batch > term || order.sequence >= oldest) && seen.insert(order.sequence).inserted
        }.map(\.index)
    }

    /// Enters orders as carried out, or a new term without any. Answers the new `oldest`.
    package mutating func record(_ sequences: [Int64], term batch: Int64) {
        if batch > term {
            term = batch
            done = []
            refusals = [:]
            oldest = .min
        }
        done.formUnion(sequences)
        guard done.count > Self.memory else { return }
        let kept = done.sorted().suffix(Self.memory / 2)
        oldest = kept.first ?? oldest
        done = Set(kept)
        refusals = refusals.filter { $0.key >= oldest }
    }

    package mutating func refuse(_ sequence: Int64, _ error: BrimError) { refusals[sequence] = error }

    /// Why an order of this term was refused; nil when it was accepted.
    package func refusal(_ sequence: Int64) -> BrimError? { refusals[sequence] }
}
