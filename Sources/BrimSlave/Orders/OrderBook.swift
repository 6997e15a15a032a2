import BrimModel
import BrimWire

/// Which orders of which leader have been carried out.
///
/// A leader sends one batch after the other, with rising sequences. One that comes after a later one is not carried out any
/// more: what was given up since, or taken for held, would be wrong afterwards.
package struct OrderBook: Sendable {
    package private(set) var position: OrderPosition
    /// Of the last batch.
    private var refusals: [Int64: BrimError] = [:]

    /// As the catalog remembers it.
    package init(_ position: OrderPosition) { self.position = position }

    /// The highest term seen.
    package var term: Int64 { position.term }

    /// The orders of a batch that are to be carried out, in order. Throws `.conflict` for a term that is over.
    package func fresh(_ orders: [(sequence: Int64, index: Int)], term batch: Int64) throws -> [Int] {
        guard batch >= term else {
            throw BrimError(
                .conflict, "orders of term \(batch) are refused: a leader of term \(term) has been heard",
                retryable: false)
        }
        var last = batch == term ? position.sequence : 0
        return orders.sorted { $0.sequence < $1.sequence }.filter { order in
            defer { last = max(last, order.sequence) }
            return order.sequence > last
        }.map(\.index)
    }

    /// Enters orders as carried out, or a new term without any.
    package mutating func record(_ sequences: [Int64], term batch: Int64) {
        if batch > term { position = OrderPosition(term: batch, sequence: 0) }
        position.sequence = max(position.sequence, sequences.max() ?? 0)
        refusals = [:]
    }

    package mutating func refuse(_ sequence: Int64, _ error: BrimError) { refusals[sequence] = error }

    /// Why an order of the last batch was refused; nil when it was accepted.
    package func refusal(_ sequence: Int64) -> BrimError? { refusals[sequence] }
}
