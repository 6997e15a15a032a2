import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Logging
import Synchronization
import Testing

@testable import BrimMaster

/// Room for writes on a full server: all that can be made, and no more than is needed.
@Suite struct RoomTests {
    /// Slaves that delete what they are told to, and know how large it was.
    private final class Disks: SlaveLink {
        private struct Disk {
            var blobs: [BlobID: Int64] = [:]
            var count: Int64 = 0
        }
        private let disk = Mutex(Disk())

        func store(_ blob: BlobID, _ size: Int64) {
            disk.withLock { disk in
                disk.blobs[blob] = size
                disk.count += 1
            }
        }
        var usage: ServerUsage {
            disk.withLock { disk in
                ServerUsage(
                    boot: "b", count: disk.count, used: disk.blobs.values.reduce(0, +), diskFree: 1 << 40, files: 0)
            }
        }
        func holds(_ blob: BlobID) -> Bool { disk.withLock { $0.blobs[blob] != nil } }

        func order(_ slave: Peer, _ batch: OrderBatch, deadline: Duration) async throws -> OrderReply {
            disk.withLock { disk in
                for blob in batch.orders.flatMap(\.evict) { disk.blobs[blob] = nil }
                disk.count += 1
            }
            return OrderReply(refused: [], usage: usage)
        }
        func setQuota(_ slave: Peer, _ quota: Int64) async throws -> ServerUsage { usage }
        func usage(_ slave: Peer) async throws -> ServerUsage { usage }
        func introduce(_ masters: [String], to slave: Peer) async throws {}
    }

    /// That of the fixture's servers.
    private static let quota: Int64 = 1 << 30

    private let fixture: Fixture
    private let disks = Disks()
    private let ledger: Ledger
    private let room: RoomKeeper
    private let alpha: ServerName

    init() async throws {
        fixture = try await Fixture(servers: ["alpha"])
        alpha = try ServerName(validating: "alpha")
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let (store, views, roster) = (fixture.store, fixture.views, fixture.roster)
        ledger = fixture.ledger
        let giveUp = GiveUp(
            store: store, views: views,
            desk: OrderDesk(term: 1, roster: roster, ledger: ledger, slaves: disks), ledger: ledger, roster: roster,
            breaker: EvictionGuard(store: store, settings: SwarmSettings(), logger: logger), logger: logger)
        room = RoomKeeper(
            store: store, roster: roster, ledger: ledger, giveUp: giveUp,
            versions: VersionWorker(store: store, views: views, changed: fixture.changed, logger: logger),
            slaves: disks, settings: LiveSettings(SwarmSettings()))
    }

    /// Commits a file whose bytes are on alpha.
    private func file(_ path: String, size: Int64) async throws -> BlobID {
        let blob = try #require(try await fixture.file(path, on: ["alpha"], size: size).content?.blob)
        disks.store(blob, size)
        return blob
    }

    private func heartbeat() {
        let usage = disks.usage
        ledger.decide { $0.heard(usage, from: alpha) }
    }

    private func place(_ request: String, size: Int64) async throws {
        let targets = try await room.place(request: request, size: size, n: 1, avoid: [], writerHost: nil)
        #expect(targets.map(\.server) == [alpha])
    }

    @Test func aVersionJustOverwrittenMakesRoom() async throws {
        let first = try await file("/f", size: Self.quota / 2)
        let second = try await file("/f", size: Self.quota / 2)
        heartbeat()
        #expect(try await fixture.store.owners(of: [first])[first]?.kind == .former)
        try await place("w", size: Self.quota / 2)
        #expect(!disks.holds(first) && disks.holds(second))
        #expect(try await fixture.store.owners(of: [first]).isEmpty)
        // Now nothing is left to give up.
        _ = try await file("/g", size: Self.quota / 2)
        room.stored("w", [TargetUsage(server: alpha, usage: disks.usage)])
        await expectFull { try await place("v", size: Self.quota / 2) }
    }

    @Test func aVersionJustOverwrittenMakesRoomForAWriteUnderWay() async throws {
        let first = try await file("/f", size: Self.quota / 2)
        _ = try await file("/f", size: Self.quota / 2)
        heartbeat()
        try await room.makeRoom(bytes: 1, on: alpha)
        #expect(!disks.holds(first))
        await expectFull { try await room.makeRoom(bytes: 1, on: alpha) }
    }

    /// A client's write had a server asked what it uses: its next heartbeat says the same, and nothing new.
    @Test func roomThatAWriteHearsOfWakesThePlanner() throws {
        let roomier = Bell()
        let ledger = Ledger(Planner(floor: 0), roomier: roomier)
        let alpha = try ServerName(validating: "alpha")
        func word(_ count: Int64, _ used: Int64) -> ServerUsage {
            ServerUsage(boot: "b", count: count, used: used, diskFree: 1 << 40, files: 0)
        }
        ledger.decide { planner in
            planner.update(servers: [
                ServerSnapshot(
                    name: alpha, zone: "z", receives: true, readable: true, counted: true, quota: 100, brim: 100,
                    used: 0, diskFree: 1 << 40, load: ServerLoad())
            ])
            planner.heard(word(1, 90), from: alpha)
        }
        #expect(!roomier.hasRung)
        ledger.decide { $0.heard(word(2, 50), from: alpha) }
        #expect(roomier.hasRung)
    }

    private func expectFull(sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void) async {
        do {
            try await body()
            Issue.record("no error", sourceLocation: sourceLocation)
        } catch {
            #expect((error as? BrimError)?.code == .full, "\(error)", sourceLocation: sourceLocation)
        }
    }

    /// Each write, of a sixteenth of the quota, costs one removed file of that size, whatever comes between.
    @Test(arguments: [false, true]) func aWriteCostsNoMoreThanItNeeds(areAbandoned: Bool) async throws {
        let size = Self.quota / 16
        var removed: [BlobID] = []
        for i in 0..<16 { removed.append(try await file("/old/\(i)", size: size)) }
        _ = try await fixture.namespace.remove(try BrimPath(parsing: "/old"), recursive: true)
        heartbeat()
        for i in 0..<8 {
            try await place("w\(i)", size: size)
            _ = try await file("/new/\(i)", size: size)
            // The slave speaks when the blob is stored, and before the write is known to be over.
            heartbeat()
            if !areAbandoned { room.stored("w\(i)", [TargetUsage(server: alpha, usage: disks.usage)]) }
            room.ended("w\(i)")
            #expect(removed.count { !disks.holds($0) } == i + 1)
        }
    }
}
