import BrimClient
import BrimMetadata
import BrimModel
import BrimWire
import Foundation
import LoadKit
import Logging
import MongoDriver
import Synchronization

/// All figures of one number of files, in a MongoDB and with a master of its own.
struct Measurement {
    let swarm: SampleSwarm
    let brim: String
    let mongod: String
    let directory: URL
    /// Gigabytes.
    let cache: Double
    let rounds: Int
    /// MongoDB's; the master has the next.
    let port: Int

    private static let database = "brim"
    private static let password = "benchmark"
    private static let batch = 500
    private static let downAfter = 15

    private static let logger: Logger = {
        var logger = Logger(label: "bench-scale")
        logger.logLevel = .warning
        return logger
    }()

    func run() async throws -> Figures {
        var figures = Figures(files: swarm.files)
        let database = directory.appendingPathComponent("mongodb")
        try FileManager.default.createDirectory(at: database, withIntermediateDirectories: true)
        let mongod = try Daemon(
            mongod,
            [
                "--replSet", "scale", "--dbpath", database.path, "--bind_ip", "127.0.0.1", "--port", "\(port)",
                "--wiredTigerCacheSizeGB", "\(cache)", "--oplogSize", "4096",
            ], log: directory.appendingPathComponent("mongod.log"))
        defer { mongod.stop() }
        try await initiate(mongod, port)
        let uri = "mongodb://127.0.0.1:\(port)/?replicaSet=scale"
        let keys = try SwarmKeys(password: Self.password)
        let filler = Filler(swarm: swarm, uri: uri, database: Self.database, logger: Self.logger)
        try await filler.fill(proof: keys.proof)
        try await filler.measureRoom(&figures)

        let store = try MongoMetadataStore.connect(uri: uri, database: Self.database, logger: Self.logger)
        do {
            try await measureDecisions(store, &figures)
        } catch {
            await store.close()
            throw error
        }
        await store.close()

        let began = ContinuousClock.now
        let master = try Daemon(
            brim,
            [
                "master", "--mongodb", uri, "--listen", "127.0.0.1:\(port + 1)", "--copies", "\(SampleSwarm.wanted)",
                "--heartbeat", "2s", "--suspect-after", "8s", "--down-after", "\(Self.downAfter)s",
                // No copy gives way for another one: only what is measured is to be done.
                "--floor", "9", "--drill-every", "0", "--data", directory.appendingPathComponent("master").path,
            ], environment: ["BRIM_PASSWORD": Self.password], log: directory.appendingPathComponent("master.log"))
        defer { master.stop() }
        let url = "http://127.0.0.1:\(port + 1)"
        let client = try BrimClient(
            masters: [url], memory: nil, readsOffline: false, password: Self.password, logger: Self.logger)
        try await master.wait(atMost: .seconds(1800), for: "the master") {
            (try? await client.stat(try BrimPath(parsing: "/"))) != nil
        }
        figures[.start] = Self.seconds(since: began)
        let pulse = Pulse(swarm.servers, master: url, keys: keys, logger: Self.logger)
        await pulse.begin()
        do {
            try await measureMaster(client, master, pulse, uri, &figures)
        } catch {
            await pulse.end()
            await client.shutdown()
            throw error
        }
        await pulse.end()
        await client.shutdown()
        return figures
    }

    private func initiate(_ mongod: Daemon, _ port: Int) async throws {
        let client = try MongoClient(
            uri: "mongodb://127.0.0.1:\(port)/?directConnection=true",
            options: MongoClientOptions(poolSize: 1, serverSelectionTimeout: .seconds(1)), logger: Self.logger)
        let admin = client.database("admin")
        try await mongod.wait(atMost: .seconds(60), for: "mongod") {
            guard let hello = try? await admin.runCommand(["hello": 1]) else { return false }
            if hello["isWritablePrimary"]?.boolValue == true { return true }
            if hello["setName"] == nil {
                let member: BSONDocument = ["_id": 0, "host": .string("127.0.0.1:\(port)")]
                _ = try? await admin.runCommand(["replSetInitiate": ["_id": "scale", "members": [.document(member)]]])
            }
            return false
        }
        await client.close()
    }

    // MARK: Questions to the database

    private func measureDecisions(_ store: MongoMetadataStore, _ figures: inout Figures) async throws {
        let brims = swarm.servers.map { _ in Filler.quota }
        let first = try await store.neediest(after: nil, limit: Self.batch, brims: brims, maxCopies: 16)
        guard first.count == Self.batch else { throw BenchmarkError("\(first.count) needy files were found") }
        figures[.neediest] = try await median { _ in
            try await store.neediest(after: nil, limit: Self.batch, brims: brims, maxCopies: 16)
        }
        let middle = NeedyPosition(surplus: 1, size: 100_000, file: FileID(Int64(swarm.lastID / 2)))
        figures[.neediestLater] = try await median { _ in
            try await store.neediest(after: middle, limit: Self.batch, brims: brims, maxCopies: 16)
        }
        figures[.richest] = try await median { round in
            try await store.richest(
                on: swarm.servers[round % swarm.servers.count], minSurplus: 1, limit: Self.batch)
        }
        figures[.bounds] = try await median { _ in try await store.surplusBounds() }
    }

    /// Milliseconds of one call, after one that is not counted.
    private func median(_ body: (Int) async throws -> some Sendable) async throws -> Double {
        var times: [Double] = []
        for round in -1..<rounds {
            let began = ContinuousClock.now
            _ = try await body(max(0, round))
            if round >= 0 { times.append(Self.seconds(since: began) * 1000) }
        }
        return times.median
    }

    // MARK: What people ask of a master

    private func measureMaster(
        _ client: BrimClient, _ master: Daemon, _ pulse: Pulse, _ uri: String, _ figures: inout Figures
    ) async throws {
        figures[.memory] = try master.memory / Double(1 << 20)
        try await waitForCounts(master, uri, &figures)
        let began = ContinuousClock.now
        let status = try await client.status()
        figures[.firstStatus] = Self.seconds(since: began) * 1000
        guard status.files == Int64(swarm.files) else { throw BenchmarkError("the status says \(status.files) files") }
        figures[.status] = try await median { _ in try await client.status() }
        figures[.stat] = try await stats(client, for: .seconds(5), until: { false }).median

        let large = try BrimPath(parsing: swarm.largePath)
        figures[.firstPage] = try await median { _ in
            for try await _ in client.list(large) { return }
        }
        let begun = ContinuousClock.now
        var entries = 0
        for try await _ in client.list(large) { entries += 1 }
        figures[.listing] = Self.seconds(since: begun)
        guard entries == swarm.inLarge else { throw BenchmarkError("\(entries) entries were listed") }
        figures[.listed] = Double(entries)

        try await measureRecount(client, master, pulse, uri, &figures)
        figures[.memoryAfter] = try master.memory / Double(1 << 20)
    }

    /// Until a new leader has seen that all copies are counted as they should be, and noted how many files there are, as it
    /// does once an hour.
    private func waitForCounts(_ master: Daemon, _ uri: String, _ figures: inout Figures) async throws {
        let began = ContinuousClock.now
        let mongo = try MongoClient(uri: uri, logger: Self.logger)
        let (servers, settings) = (
            mongo.database(Self.database).collection("servers"), mongo.database(Self.database).collection("settings")
        )
        try await master.wait(atMost: .seconds(3600), for: "all copies to be counted") {
            let done = try await servers.countDocuments(["recount.finished": true])
            return try await settings.findOne(["_id": "growth"]) != nil && done == swarm.servers.count
        }
        figures[.check] = Self.seconds(since: began)
        await mongo.close()
    }

    /// The first server falls silent: all files that it holds are counted anew.
    private func measureRecount(
        _ client: BrimClient, _ master: Daemon, _ pulse: Pulse, _ uri: String, _ figures: inout Figures
    ) async throws {
        let mongo = try MongoClient(uri: uri, logger: Self.logger)
        let servers = mongo.database(Self.database).collection("servers")
        let files = mongo.database(Self.database).collection("files")
        let silent = swarm.servers[0]
        figures[.recounted] = Double(try await files.countDocuments(["replicas": .string(silent.rawValue)]))
        await pulse.silence(silent)
        func progress() async throws -> (isDown: Bool, position: Int64?, isFinished: Bool) {
            let found = try await servers.findOne(["_id": .string(silent.rawValue)])
            let recount = found?["recount"]?.documentValue
            return (
                found?["state"] == "down", recount?["epoch"]?.int64Value, recount?["finished"]?.boolValue ?? false
            )
        }
        let before = try await progress().position
        try await master.wait(atMost: .seconds(120), for: "the silence of \(silent) to be noticed") {
            try await progress().isDown
        }
        let began = ContinuousClock.now
        let isDone = Mutex(false)
        async let meanwhile = stats(client, for: .seconds(3600)) { isDone.withLock { $0 } }
        do {
            try await master.wait(atMost: .seconds(3600), for: "the recount") {
                let now = try await progress()
                return now.isFinished && now.position != before
            }
        } catch {
            isDone.withLock { $0 = true }
            _ = try? await meanwhile
            throw error
        }
        figures[.recount] = Self.seconds(since: began)
        isDone.withLock { $0 = true }
        let times = try await meanwhile
        figures[.statMeanwhile] = times.median
        figures[.slowStat] = times.quantile(0.99)
        await mongo.close()
    }

    /// Asks for other files than those of the first server, four at a time; milliseconds of each answer.
    private func stats(
        _ client: BrimClient, for duration: Duration, until isOver: @escaping @Sendable () -> Bool
    ) async throws -> [Double] {
        let (end, swarm) = (ContinuousClock.now + duration, swarm)
        return try await withThrowingTaskGroup(of: [Double].self) { group in
            for worker in 0..<4 {
                group.addTask {
                    var random = Mixer(seed: UInt64(worker))
                    var times: [Double] = []
                    while ContinuousClock.now < end, !isOver() {
                        let file = random.next(below: swarm.files)
                        guard swarm.isElsewhere(file) else { continue }
                        let path = try BrimPath(parsing: swarm.path(of: file))
                        let began = ContinuousClock.now
                        _ = try await client.stat(path)
                        times.append(Self.seconds(since: began) * 1000)
                        try await Task.sleep(for: .milliseconds(10))
                    }
                    return times
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }

    // MARK: Details

    private static func seconds(since: ContinuousClock.Instant) -> Double {
        (ContinuousClock.now - since) / .seconds(1)
    }
}
