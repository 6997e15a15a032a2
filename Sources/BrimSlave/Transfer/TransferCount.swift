import Synchronization

/// Uploads, downloads and pulls under way.
final class TransferCount: Sendable {
    /// One transfer, until it is dropped.
    final class Ticket: Sendable {
        private let count: TransferCount
        fileprivate init(_ count: TransferCount) { self.count = count }
        deinit { count.value.subtract(1, ordering: .relaxed) }
    }

    private let value = Atomic(0)

    var current: Int { value.load(ordering: .relaxed) }

    func begin() -> Ticket {
        value.add(1, ordering: .relaxed)
        return Ticket(self)
    }
}
