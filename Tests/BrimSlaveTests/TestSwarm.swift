import BrimModel
import BrimWire
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import ServiceLifecycle

@testable import BrimSlave

/// A fake master and some slaves, in this process.
final class TestSwarm: Sendable {
    struct Member: Sendable {
        let name: ServerName
        let temporary: TemporaryDirectory
        let service: SlaveService
        let port: Int
        var address: String { "127.0.0.1:\(port)" }
        var peer: Peer { Peer(server: name, address: address) }

        func path(_ blob: BlobID) -> String {
            let digits = blob.description.suffix(4)
            return "\(temporary.path)/blobs/\(digits.prefix(2))/\(digits.suffix(2))/\(blob)"
        }
        func holds(_ blob: BlobID) -> Bool { FileManager.default.fileExists(atPath: path(blob)) }
    }

    let keys: SwarmKeys
    let master: FakeMaster
    let slaves: [Member]
    let peers = PeerClient(logger: quiet())

    private init(keys: SwarmKeys, master: FakeMaster, slaves: [Member]) {
        self.keys = keys
        self.master = master
        self.slaves = slaves
    }

    static let names = ["alpha", "bravo", "charlie"]

    static func configuration(
        _ directory: String, master: String, keys: SwarmKeys, quota: Int64, name: String?
    ) throws -> SlaveConfiguration {
        var configuration = SlaveConfiguration(
            masters: [master], dataDirectory: directory, quota: .bytes(quota),
            name: try name.map { try ServerName(validating: $0) }, zone: "z",
            listen: HostPort(host: "127.0.0.1", port: 0), keys: keys)
        configuration.commitPatience = .milliseconds(300)
        configuration.transferIdle = .seconds(5)
        configuration.diskThreads = 4
        return configuration
    }

    /// Runs `body` with as many slaves as there are quotas, then shuts everything down gracefully.
    static func with(
        quotas: [Int64], adjust: @Sendable (inout SlaveConfiguration) -> Void = { _ in },
        _ body: (TestSwarm) async throws -> Void
    ) async throws {
        let keys = try SwarmKeys(password: "test")
        let master = FakeMaster(keys: keys)
        try await running([master.server]) {
            let url = try await master.url
            var slaves: [(ServerName, TemporaryDirectory, SlaveService)] = []
            defer { withExtendedLifetime(slaves) {} }
            for (index, quota) in quotas.enumerated() {
                let temporary = try TemporaryDirectory()
                var configuration = try configuration(
                    temporary.path, master: url, keys: keys, quota: quota, name: names[index])
                adjust(&configuration)
                let name = try ServerName(validating: names[index])
                slaves.append((name, temporary, SlaveService(configuration: configuration, logger: quiet())))
            }
            try await running(slaves.map { $0.2 }) {
                var members: [Member] = []
                for (name, temporary, service) in slaves {
                    let port = try await service.boundPort
                    _ = try await service.joinedName
                    members.append(Member(name: name, temporary: temporary, service: service, port: port))
                }
                let swarm = TestSwarm(keys: keys, master: master, slaves: members)
                // It may hold the swarm, and so its directories.
                defer { master.set { $0.makeRoom = nil } }
                do {
                    try await body(swarm)
                } catch {
                    await swarm.peers.shutdown()
                    throw error
                }
                await swarm.peers.shutdown()
            }
        }
    }

    /// Runs `body` beside services, which are shut down gracefully afterwards.
    static func running(_ services: [any Service], _ body: () async throws -> Void) async throws {
        let group = ServiceGroup(services: services, logger: quiet())
        async let end: Void = group.run()
        do {
            try await body()
        } catch {
            await group.triggerGracefulShutdown()
            try? await end
            throw error
        }
        await group.triggerGracefulShutdown()
        try await end
    }

    func token() throws -> String { try keys.nodeToken(name: "test") }

    func grant(
        _ blob: BlobID, _ targets: [Int], size: Int64? = nil, ifMatch: IfMatch = .anything
    ) async throws -> WriteGrant {
        WriteGrant(
            request: UUID().uuidString, blob: blob, parent: FileID(1), name: try EntryName("f"), path: "/f", size: size,
            targets: targets.map { slaves[$0].peer }, mode: 0o644, modified: nil, n: nil, attributes: [:],
            ifMatch: ifMatch, master: try await master.url)
    }

    /// Writes through a chain; the size is announced unless `chunked`.
    func put(
        _ blob: BlobID, _ content: [UInt8], to targets: [Int], chunked: Bool = false,
        headers: [(String, String)] = [], grant: WriteGrant? = nil
    ) async throws -> (status: Int, body: ByteBuffer) {
        let given: WriteGrant
        if let grant { given = grant } else { given = try await self.grant(blob, targets) }
        let token = try keys.sign(.write(given, lifetime: .seconds(60)))
        let pipe = BytePipe(capacity: 1 << 30)
        for start in stride(from: 0, to: content.count, by: 100_000) {
            _ = await pipe.send(ByteBuffer(bytes: content[start..<min(content.count, start + 100_000)]))
        }
        pipe.finish()
        return try await peers.upload(
            "http://\(given.targets[0].address)/v1/blobs/\(blob)?token=\(token)",
            length: chunked ? nil : Int64(content.count), headers: headers, body: pipe, token: nil, idle: .seconds(10))
    }

    func get(
        _ blob: BlobID, from slave: Int, headers: [(String, String)] = []
    ) async throws -> (download: Download, body: [UInt8]) {
        let token = try keys.sign(.read(ReadGrant(blob: blob, version: 4, name: "f"), lifetime: .seconds(60)))
        let download = try await peers.download(
            "http://\(slaves[slave].address)/v1/blobs/\(blob)?token=\(token)", headers: headers, token: nil,
            idle: .seconds(10))
        var body: [UInt8] = []
        for try await part in download.body { body += Array(part.readableBytesView) }
        return (download, body)
    }

    func order(_ slave: Int, _ batch: OrderBatch) async throws -> OrderReply {
        try await peers.call(
            .POST, "http://\(slaves[slave].address)/v1/orders", body: batch, token: try token(), as: OrderReply.self)
    }

    func pull(_ blob: BlobID, _ content: [UInt8], from sources: [Int]) throws -> Order.Pull {
        Order.Pull(
            blob: blob, size: Int64(content.count), checksum: checksum(content),
            label: BlobLabel(
                file: FileID(7), parent: FileID(1), name: try EntryName("f"), rev: 1, n: 3, attributes: [:]),
            sources: sources.map { slaves[$0].peer })
    }

    /// The catalog row on a slave, read from beside.
    func row(_ blob: BlobID, on slave: Int) async throws -> CatalogRow? {
        let catalog = try Catalog(
            path: slaves[slave].temporary.path + "/catalog.sqlite", health: DiskHealth(logger: quiet()))
        let row = try await catalog.row(blob)
        try catalog.close()
        return row
    }
}

func code(_ body: ByteBuffer) -> BrimError.Code? {
    (try? BrimJSON.decoder().decode(BrimError.self, from: Data(body.readableBytesView)))?.code
}
