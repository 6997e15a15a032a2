import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Tells the masters of blobs that were lost here, and of tombstoned ones that are gone, until they have heard.
final class Outbox: BackgroundLoop {
    let worker = Worker("outbox", unit: "blobs")

    private struct Mail {
        var lost: Set<BlobID> = []
        /// What was found of those of `lost` that were set aside.
        var damage: [BlobID: String] = [:]
        var deleted: Set<BlobID> = []
    }
    /// Blobs that may wait; what does not fit is found again by the next complete report.
    static let limit = 1_000_000

    private let masters: MasterLink
    private let catalog: Catalog
    private let logger: Logger
    private let mail = Mutex(Mail())
    private struct Sender {
        var list: @Sendable ([BlobID]) -> BlobList
        var lost: @Sendable ([BlobID], [BlobID: String]) -> LostRequest
    }
    private let sender = Mutex<Sender?>(nil)
    private let signal = Signal()

    init(masters: MasterLink, catalog: Catalog, logger: Logger) {
        self.masters = masters
        self.catalog = catalog
        self.logger = logger
    }

    /// Nothing is sent before: a master must know this server first. `list` and `lost` sign lists with its name.
    func open(
        _ list: @escaping @Sendable ([BlobID]) -> BlobList,
        lost: @escaping @Sendable ([BlobID], [BlobID: String]) -> LostRequest
    ) {
        sender.withLock { $0 = Sender(list: list, lost: lost) }
        signal.raise()
    }

    /// `damage`: what was found, when they were set aside.
    func lost(_ blobs: some Collection<BlobID>, damage: String? = nil) {
        if let damage {
            mail.withLock { mail in
                for blob in blobs where mail.lost.count < Self.limit { mail.damage[blob] = damage }
            }
        }
        add(blobs, to: \.lost)
    }
    func deleted(_ blobs: some Collection<BlobID>) { add(blobs, to: \.deleted) }

    private func add(_ blobs: some Collection<BlobID>, to box: WritableKeyPath<Mail, Set<BlobID>>) {
        guard !blobs.isEmpty else { return }
        mail.withLock { mail in
            if mail[keyPath: box].count < Self.limit { mail[keyPath: box].formUnion(blobs) }
        }
        signal.raise()
    }

    func run() async throws {
        await signal.eachTime("mail to the master waits", logger, worker) { try await self.send() }
    }

    private func send() async throws {
        guard let sender = sender.withLock({ $0 }) else { return }
        while let lost = next(\.lost) {
            // What has come back meanwhile is not lost.
            let known = try await catalog.known(lost)
            let gone = lost.filter { known[$0] == nil }
            if !gone.isEmpty {
                worker.begins("tells of \(gone.count) lost blobs")
                let damage = mail.withLock { mail in mail.damage.filter { gone.contains($0.key) } }
                _ = try await masters.call("lost", sender.lost(gone, damage), as: Empty.self)
                worker.did(gone.count)
            }
            mail.withLock { mail in
                mail.lost.subtract(lost)
                for blob in lost { mail.damage[blob] = nil }
            }
        }
        while let deleted = next(\.deleted) {
            worker.begins("tells of \(deleted.count) deleted blobs")
            _ = try await masters.call("deleted", sender.list(deleted), as: Empty.self)
            worker.did(deleted.count)
            mail.withLock { $0.deleted.subtract(deleted) }
        }
    }

    private func next(_ box: KeyPath<Mail, Set<BlobID>>) -> [BlobID]? {
        let page = mail.withLock { Array($0[keyPath: box].prefix(Limits.reportPageBlobs)) }
        return page.isEmpty ? nil : page
    }
}
