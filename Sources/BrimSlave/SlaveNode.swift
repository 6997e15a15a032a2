import BrimModel
import BrimWire
import Foundation
import Logging
import NIOCore
import Synchronization

/// What the parts of one slave share.
final class SlaveNode: Sendable {
    let configuration: SlaveConfiguration
    let logger: Logger
    let directory: DataDirectory
    let health: DiskHealth
    let catalog: Catalog
    let store: BlobStore
    let quota: Quota
    let peers: PeerClient
    let masters: MasterLink
    let outbox: Outbox
    let commits: Commits
    let confirmations: Confirmations
    let reads: ReadCounts
    let transfers = TransferCount()
    /// Blobs that are being received, by a write or a pull.
    let receiving = KeyedLock<BlobID>()
    private let nameBox: NameBox

    init(
        configuration: SlaveConfiguration, logger: Logger, directory: DataDirectory, health: DiskHealth,
        catalog: Catalog, store: BlobStore, quota: Quota, peers: PeerClient, name: ServerName
    ) {
        let nameBox = NameBox(name)
        self.configuration = configuration
        self.logger = logger
        self.directory = directory
        self.health = health
        self.catalog = catalog
        self.store = store
        self.quota = quota
        self.peers = peers
        self.nameBox = nameBox
        let masters = MasterLink(
            masters: configuration.masters, peers: peers, keys: configuration.keys, logger: logger,
            name: { nameBox.name.withLock { $0 } })
        self.masters = masters
        outbox = Outbox(masters: masters, catalog: catalog, logger: logger)
        commits = Commits(masters: masters) { (nameBox.name.withLock { $0 }, directory.identity.id) }
        reads = ReadCounts(logger: logger) { counts in
            let report = ReadsReport(
                name: nameBox.name.withLock { $0 }, id: directory.identity.id, reads: counts)
            _ = try await masters.call("reads", report, as: Empty.self)
        }
        confirmations = Confirmations(catalog: catalog, peers: peers, logger: logger) {
            try configuration.keys.nodeToken(name: nameBox.name.withLock { $0.rawValue })
        }
    }

    private final class NameBox: Sendable {
        let name: Mutex<ServerName>
        init(_ name: ServerName) { self.name = Mutex(name) }
    }

    /// The server's name; settled by the first join.
    var name: ServerName {
        get { nameBox.name.withLock { $0 } }
        set { nameBox.name.withLock { $0 = newValue } }
    }
    /// The random id of the data directory.
    var id: String { directory.identity.id }

    func list(_ blobs: [BlobID]) -> BlobList { BlobList(name: name, id: id, blobs: blobs) }

    /// `damage` says what was found of those that were set aside.
    func lostList(_ blobs: [BlobID], damage: [BlobID: String]) -> LostRequest {
        let damage = damage.map { ("\($0)", $1) }
        return LostRequest(
            name: name, id: id, blobs: blobs, damage: damage.isEmpty ? nil : Dictionary(damage) { first, _ in first })
    }

    /// Enters a quota in force, remembered over restarts.
    func apply(quota bytes: Int64) async throws {
        if quota.set(bytes) { logger.info("quota changed", metadata: ["quota": "\(bytes)"]) }
        guard directory.identity.quota != bytes else { return }
        // Of two changes at once the later one is remembered.
        let quota = quota
        try await remember { $0.quota = quota.bytes }
    }

    /// Changes `brim.json`.
    func remember(_ change: @escaping @Sendable (inout DirectoryIdentity) -> Void) async throws {
        let directory = directory
        try await store.io.run { try directory.update(change) }
    }

    /// Grants space for a write; when there is none, asks the master once to make some. Throws `.full`.
    func reserve(_ bytes: Int64) async throws -> Reservation {
        let reservation = try quota.reserve(0, for: .write)
        try await extend(reservation, by: bytes, least: bytes)
        return reservation
    }

    /// Grants `wanted` more bytes, or at least `least`. Throws `.full`.
    func extend(_ reservation: Reservation, by wanted: Int64, least: Int64) async throws {
        if tryExtend(reservation, by: wanted, least: least) == nil { return }
        let missing = max(1, wanted - quota.free())
        do {
            _ = try await masters.call(
                "room", RoomRequest(name: name, id: id, bytes: missing), deadline: .seconds(30), as: Empty.self)
        } catch let error as BrimError {
            logger.debug("no room can be made", metadata: ["bytes": "\(missing)", "error": "\(error)"])
        }
        if let refusal = tryExtend(reservation, by: wanted, least: least) { throw refusal.described(server: name) }
    }

    /// nil when granted.
    private func tryExtend(_ reservation: Reservation, by wanted: Int64, least: Int64) -> NoRoom? {
        var refusal: NoRoom?
        for bytes in wanted > least ? [wanted, least] : [least] {
            do {
                try reservation.extend(by: bytes)
                return nil
            } catch {
                refusal = error
            }
        }
        return refusal
    }
}

extension SlaveNode {
    /// Makes a received blob durable and enters it as pending. Nothing remains of it when this throws: `.exists` when it
    /// must be `new` and is not.
    func enter(
        _ incoming: inout IncomingBlob, _ reservation: Reservation, label: BlobLabel, new: Bool = false
    ) async throws {
        try await incoming.install(new: new)
        let blob = incoming.blob
        let size = incoming.sums.size
        reservation.store(size)
        let row = CatalogRow(
            blob: blob, state: .pending, label: label, size: size, checksum: incoming.sums.checksum,
            created: Int64(Date().timeIntervalSince1970 * 1000))
        do {
            try await catalog.insert(row, sums: incoming.sums.blocks)
        } catch {
            await unlink([blob: size])
            throw error
        }
    }

    /// Makes small blobs that are not here durable, all at once, and enters them as pending. Nothing remains of any when
    /// this throws.
    func enter(_ arrivals: [(bytes: ByteBuffer, pull: Order.Pull, reservation: Reservation)]) async throws {
        guard !arrivals.isEmpty else { return }
        try await store.install(arrivals.map { BlobStore.Arrival(blob: $0.pull.blob, bytes: $0.bytes) })
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        let rows = arrivals.map { arrival in
            arrival.reservation.store(arrival.pull.size)
            return CatalogRow(
                blob: arrival.pull.blob, state: .pending, label: arrival.pull.label, size: arrival.pull.size,
                checksum: arrival.pull.checksum, created: now)
        }
        do {
            try await catalog.insert(small: rows)
        } catch {
            await unlink(Dictionary(rows.map { ($0.blob, $0.size) }) { first, _ in first })
            throw error
        }
    }

    /// Deletes blobs: from the catalog first, durably, so that no row ever names a blob that is gone.
    func remove(_ blobs: [BlobID]) async throws {
        await unlink(try await catalog.remove(blobs))
    }

    /// Deletes those of these blobs that no master has confirmed. One may have been entered all the same, by a list of
    /// what is here that was not answered yet; so it is told that they are gone.
    func removePending(_ blobs: [BlobID]) async throws {
        let removed = try await catalog.remove(blobs, onlyPending: true)
        outbox.lost(removed.keys)
        await unlink(removed)
    }

    /// Unlinks blobs that the catalog does not name any more, and gives their space back.
    func unlink(_ removed: [BlobID: Int64]) async {
        guard !removed.isEmpty else { return }
        let failed = await store.unlink(Array(removed.keys))
        for (blob, reason) in failed {
            // Its bytes stay counted; the next start finds it again.
            logger.error("a blob cannot be removed", metadata: ["blob": "\(blob)", "reason": "\(reason)"])
        }
        let gone = removed.filter { failed[$0.key] == nil }
        quota.remove(files: Int64(gone.count), bytes: gone.values.reduce(0, +))
    }

    /// A blob turned out to be damaged: it is set aside and its master is told. `inode` names the file that was read.
    func quarantine(_ blob: BlobID, inode: UInt64?, reason: String) async {
        do {
            guard let bytes = try await store.quarantine(blob, inode: inode) else { return }
            logger.error("a blob is damaged and was set aside", metadata: ["blob": "\(blob)", "reason": "\(reason)"])
            quota.quarantine(try await catalog.remove([blob])[blob], keeping: bytes)
            outbox.lost([blob], damage: reason)
        } catch {
            logger.error("a damaged blob cannot be set aside", metadata: ["blob": "\(blob)", "error": "\(error)"])
            outbox.lost([blob], damage: reason)
        }
    }

    /// Looks whether the data directory is where it was and may be written to.
    func lookAtDisk() async throws {
        let directory = directory
        if let fault = try await store.io.run({ directory.fault() }) { health.mark(fault) }
    }

    /// A row's file is not there: the row goes and the master is told. Throws `.io` when it is the whole directory that is
    /// gone, which says nothing of the blobs.
    func missing(_ blob: BlobID) async throws {
        try await lookAtDisk()
        try health.checkReadable()
        guard let size = try await catalog.remove([blob])[blob] else { return }
        logger.error("a blob's file is missing", metadata: ["blob": "\(blob)"])
        quota.remove(files: 1, bytes: size)
        outbox.lost([blob])
    }
}
