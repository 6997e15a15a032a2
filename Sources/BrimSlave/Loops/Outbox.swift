import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Tells the masters of blobs that were lost here, and of tombstoned ones that are gone, until they have heard.
final class Outbox: Service {
    private struct Mail {
        var lost: Set<BlobID> = []
        var deleted: Set<BlobID> = []
    }
    /// Blobs that may wait; what does not fit is found again by the next complete report.
    static let limit = 1_000_000

    private let masters: MasterLink
    private let catalog: Catalog
    private let logger: Logger
    private let mail = Mutex(Mail())
    private let sender = Mutex<(@Sendable ([BlobID]) -> BlobList)?>(nil)
    private let signal = Signal()

    init(masters: MasterLink, catalog: Catalog, logger: Logger) {
        self.masters = masters
        self.catalog = catalog
        self.logger = logger
    }

    /// Nothing is sent before: a master must know this server first. `list` signs lists with its name.
    func open(_ list: @escaping @Sendable ([BlobID]) -> BlobList) {
        sender.withLock { $0 = list }
        signal.raise()
    }

    func lost(_ blobs: some Collection<BlobID>) { add(blobs, to: \.lost) }
    func deleted(_ blobs: some Collection<BlobID>) { add(blobs, to: \.deleted) }

    private func add(_ blobs: some Collection<BlobID>, to box: WritableKeyPath<Mail, Set<BlobID>>) {
        guard !blobs.isEmpty else { return }
        mail.withLock { mail in
            if mail[keyPath: box].count < Self.limit { mail[keyPath: box].formUnion(blobs) }
        }
        signal.raise()
    }

    func run() async throws {
        await signal.eachTime("mail to the master waits", logger) { try await self.send() }
    }

    private func send() async throws {
        guard let list = sender.withLock({ $0 }) else { return }
        while let lost = next(\.lost) {
            // What has come back meanwhile is not lost.
            let known = try await catalog.known(lost)
            let gone = lost.filter { known[$0] == nil }
            if !gone.isEmpty { _ = try await masters.call("lost", list(gone), as: Empty.self) }
            mail.withLock { $0.lost.subtract(lost) }
        }
        while let deleted = next(\.deleted) {
            _ = try await masters.call("deleted", list(deleted), as: Empty.self)
            mail.withLock { $0.deleted.subtract(deleted) }
        }
    }

    private func next(_ box: KeyPath<Mail, Set<BlobID>>) -> [BlobID]? {
        let page = mail.withLock { Array($0[keyPath: box].prefix(Limits.reportPageBlobs)) }
        return page.isEmpty ? nil : page
    }
}
