import BrimModel
import BrimWire
import Foundation
import NIOCore
import NIOHTTP1
import Testing

@testable import BrimSlave

extension SwarmTests {
    /// A slave of its own on a directory, against a master that is there already.
    private func slave(
        _ directory: TemporaryDirectory, _ master: FakeMaster, quota: Int64 = 1000, name: String? = nil
    ) async throws -> SlaveService {
        SlaveService(
            configuration: try TestSwarm.configuration(
                directory.path, master: try await master.url, keys: master.keys, quota: quota, name: name),
            logger: quiet())
    }

    @Test("Joins, reports, beats, says goodbye, and remembers its name, id and quota")
    func memberForLife() async throws {
        let master = FakeMaster(keys: try SwarmKeys(password: "test"))
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        try await TestSwarm.running([master.server]) {
            let base = try HostName.serverName(host: HostName.current)
            let second = try HostName.serverName(host: HostName.current, number: 2)
            master.set { $0.taken = [base] }
            let first = try await slave(directory, master)
            try await TestSwarm.running([first]) {
                #expect(try await first.joinedName == second)
                try await eventually("reported") { master.state.reports.count == 1 }
                try await eventually("beats") { master.state.heartbeats > 2 }
                master.set { $0.quotas[second] = 777 }
                try await eventually("quota") { try self.identity(directory).quota == 777 }
            }
            #expect(master.state.goodbyes == [second])
            let id = try #require(master.state.joins.first?.id)

            // The same quota leaves what was set; without a master too.
            let lonely = SlaveService(
                configuration: try TestSwarm.configuration(
                    directory.path, master: "http://127.0.0.1:1", keys: master.keys, quota: 1000, name: nil),
                logger: quiet())
            try await TestSwarm.running([lonely]) {
                _ = try await lonely.boundPort
                #expect(try self.identity(directory).quota == 777)
            }
            let again = try await slave(directory, master, quota: 2000)
            master.set { $0.quotas = [:] }
            try await TestSwarm.running([again]) { () async throws in #expect(try await again.joinedName == second) }
            #expect(master.state.joins.last?.id == id && master.state.joins.last?.quota == 2000)
            #expect(try identity(directory).quota == 2000)
        }
    }

    private func identity(_ directory: TemporaryDirectory) throws -> DirectoryIdentity {
        try JSONDecoder().decode(
            DirectoryIdentity.self, from: Data(contentsOf: URL(fileURLWithPath: directory.path + "/brim.json")))
    }

    @Test("What cannot be helped by waiting ends the slave with a clear error")
    func refusedForGood() async throws {
        let master = FakeMaster(keys: try SwarmKeys(password: "test"))
        let (first, foreign, third) = (try TemporaryDirectory(), try TemporaryDirectory(), try TemporaryDirectory())
        defer { withExtendedLifetime((first, foreign, third)) {} }
        try await TestSwarm.running([master.server]) {
            let name = try ServerName(validating: "alpha")
            master.set { $0.taken = [name] }
            let taken = try await slave(first, master, name: "alpha")
            #expect(await failure { try await taken.run() } == .exists)
            #expect(await failure { _ = try await taken.joinedName } == .exists)

            try Data(#"{"format": 1, "id": "x", "swarm": "another"}"#.utf8)
                .write(to: URL(fileURLWithPath: foreign.path + "/brim.json"))
            let stray = try await slave(foreign, master)
            #expect(await failure { try await stray.run() } == .invalid)

            let stranger = SlaveService(
                configuration: try TestSwarm.configuration(
                    third.path, master: try await master.url,
                    keys: try SwarmKeys(password: "wrong"), quota: 10, name: nil), logger: quiet())
            #expect(await failure { try await stranger.run() } == .unauthorized)
        }
    }

    @Test("A master that forgot this server is joined again, with a report; masters that come late are waited for")
    func joinsAgain() async throws {
        try await TestSwarm.with(quotas: [1000]) { (swarm: TestSwarm) async throws in
            let blob = BlobIDs.shared.next()
            #expect(try await swarm.put(blob, bytes(10), to: [0]).status == 201)
            let gone = BlobIDs.shared.next()
            swarm.master.set {
                $0.joins = []
                $0.reports = []
                $0.check = [blob, gone]
            }
            try await eventually("joined again") { swarm.master.state.joins.count == 1 }
            try await eventually("reported") { swarm.master.state.reports.last?.blobs.map(\.blob) == [blob] }
            try await eventually("only what is lost is lost") { swarm.master.state.lost == [gone] }
            let page = try #require(swarm.master.state.reports.last)
            #expect(page.after == nil && page.through == nil)
            let ready = try await swarm.peers.download(
                "http://\(swarm.slaves[0].address)/readyz", headers: [], token: nil, idle: .seconds(5))
            #expect(ready.status == 200)
        }
    }

    @Test func quotaByRequest() async throws {
        try await TestSwarm.with(quotas: [1000]) { (swarm: TestSwarm) async throws in
            #expect(try await swarm.put(BlobIDs.shared.next(), bytes(900), to: [0]).status == 201)
            swarm.master.set { $0.quotas[swarm.slaves[0].name] = 100 }
            let usage = try await swarm.peers.call(
                .PUT, "http://\(swarm.slaves[0].address)/v1/quota", body: QuotaRequest(quota: 100),
                token: try swarm.token(), as: ServerUsage.self)
            #expect(usage.used == 900)
            #expect(try await swarm.put(BlobIDs.shared.next(), bytes(1), to: [0]).status == 507)
            #expect(
                await failure {
                    _ = try await swarm.peers.call(
                        .PUT, "http://\(swarm.slaves[0].address)/v1/quota", body: QuotaRequest(quota: -1),
                        token: try swarm.token(), as: ServerUsage.self)
                } == .invalid)
        }
    }

    @Test("Stray blobs and lost ones of a killed slave are settled with the master")
    func afterAKill() async throws {
        let master = FakeMaster(keys: try SwarmKeys(password: "test"))
        let directory = try TemporaryDirectory()
        defer { withExtendedLifetime(directory) {} }
        let (stray, lost) = (BlobIDs.shared.next(), BlobIDs.shared.next())
        do {
            let disk = try Disk(directory)
            try disk.store.prepare()
            var incoming = disk.store.receive(stray)
            _ = try await incoming.append(.init(bytes: bytes(100)))
            try await incoming.install()
            try await disk.catalog.insert(try disk.row(lost, size: 5, state: .confirmed), sums: [])
            try disk.catalog.close()
            try await disk.io.shutdown()
        }
        try await TestSwarm.running([master.server]) {
            let service = try await slave(directory, master)
            try await TestSwarm.running([service]) {
                _ = try await service.joinedName
                try await eventually("lost reported") { master.state.lost == [lost] }
                try await eventually("stray reported") { master.state.reports.last?.blobs.map(\.blob) == [stray] }
                #expect(master.state.reports.last?.blobs.first?.confirmed == false)
                #expect(try await service.usage.used == 100)
            }
        }
    }
}
