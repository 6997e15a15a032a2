import BrimModel
import BrimWire
import Foundation
import Logging
import MongoDriver
import ServiceLifecycle
import Synchronization

/// Runs a mongod of the master's own: a replica set of one node on loopback, restarted when it dies, ended with the master.
///
/// Below `directory`: `db/` (MongoDB's files), `mongod.log`, `port` (kept, so that shells and tools find it again).
actor MongodSupervisor: Service {
    private let executable: URL
    private let directory: URL
    private let logger: Logger
    /// The one started last; also ended by whoever cancels the start.
    private let latest = Mutex<GuardedProcess?>(nil)
    private var process: GuardedProcess? { latest.withLock { $0 } }
    /// Known to all who use the database, so it stays as it is while this master runs.
    private var port = 0
    private var stopping = false

    init(executable: URL, directory: URL, logger: Logger) {
        self.executable = executable
        self.directory = directory
        self.logger = logger
    }

    /// Starts mongod, waits until it accepts writes and returns its URI. Throws `.io` and `.unavailable`; when cancelled,
    /// mongod has been asked to end.
    func start() async throws -> String {
        do {
            try FileManager.default.createDirectory(
                at: database, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw BrimError(.io, "cannot make \(database.path): \(error.localizedDescription)", advice: "Check --data")
        }
        try await endLeftover()
        port = try await choosePort()
        try launch()
        let uri = Self.uri(port: port)
        try await withTaskCancellationHandler {
            try await waitUntilPrimary()
        } onCancel: {
            // A command under way is not cut short by cancelling; it fails when mongod goes.
            latest.withLock { $0 }?.terminate()
        }
        logger.info("mongod is ready", metadata: ["mongod.uri": "\(uri)", "mongod.path": "\(executable.path)"])
        return uri
    }

    /// Restarts mongod whenever it dies, until `stop` is called.
    func run() async throws {
        var attempts = 0
        while !stopping, let current = process {
            let began = ContinuousClock.now
            let status = await current.wait()
            if stopping || Task.isCancelled { break }
            attempts = ContinuousClock.now - began > .seconds(60) ? 1 : attempts + 1
            do {
                try await launchAgain(attempt: attempts, status: status)
            } catch {
                logger.error("mongod cannot be started", metadata: ["error": "\(error)"])
            }
        }
    }

    /// Ends mongod and waits for it; called when nothing uses the database any more.
    func stop() async {
        stopping = true
        process?.terminate()
        _ = await process?.wait()
        latest.withLock { $0 = nil }
    }

    /// Where the mongod that a master runs below `directory` is reached. Throws `.notFound`.
    static func uri(_ directory: URL) throws -> String {
        let file = directory.appendingPathComponent("port")
        guard let text = try? String(contentsOf: file, encoding: .utf8),
            let port = Int(text.trimmingCharacters(in: .whitespacesAndNewlines))
        else {
            throw BrimError(
                .notFound, "\(file.path) does not tell the port of a mongod",
                advice: "Is a master about to start there? Try again in a moment")
        }
        return uri(port: port)
    }

    private static func uri(port: Int) -> String { "mongodb://127.0.0.1:\(port)/?replicaSet=\(replicaSet)" }

    // MARK: - Details

    private static let replicaSet = "brim"
    private var database: URL { directory.appendingPathComponent("db") }
    private var logFile: URL { directory.appendingPathComponent("mongod.log") }
    private var portFile: URL { directory.appendingPathComponent("port") }

    private func launchAgain(attempt: Int, status: Int32) async throws {
        logger.error(
            "mongod ended and is started again",
            metadata: ["exit.status": "\(status)", "mongod.log": "\(logFile.path)"])
        try await Task.sleep(for: .milliseconds(min(10_000, 200 * attempt * attempt)))
        if !stopping { try launch() }
    }

    private func launch() throws {
        let launched = try GuardedProcess(
            executable,
            [
                "--dbpath", database.path, "--port", String(port), "--bind_ip", "127.0.0.1", "--replSet",
                Self.replicaSet,
                "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "256", "--nounixsocket",
            ], log: logFile)
        latest.withLock { $0 = launched }
    }

    /// A mongod that ends gives up its database a moment before its port.
    private static let portPatience = Duration.seconds(5)

    /// The port used before when it is free (or ours) or becomes so soon, else a free one, which is kept.
    private func choosePort() async throws -> Int {
        let known = (try? String(contentsOf: portFile, encoding: .utf8)).flatMap {
            Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        if let known {
            let deadline = ContinuousClock.now + Self.portPatience
            repeat {
                if FreePort.isFree(known) { return known }
                try await Task.sleep(for: .milliseconds(50))
            } while ContinuousClock.now < deadline
        }
        let port = try FreePort.find()
        if let known {
            logger.warning(
                "mongod moves: its port is taken",
                metadata: ["mongod.port.taken": "\(known)", "mongod.port": "\(port)"])
        }
        try Data("\(port)\n".utf8).write(to: portFile, options: .atomic)
        return port
    }

    /// A mongod whose guard was killed may still hold the database: it is asked to end.
    private func endLeftover() async throws {
        let lock = database.appendingPathComponent("mongod.lock")
        guard let text = try? String(contentsOf: lock, encoding: .utf8),
            let pid = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)), pid > 1,
            let command = FileManager.default.contents(atPath: "/proc/\(pid)/cmdline"),
            String(decoding: command, as: UTF8.self).split(separator: "\0").contains(Substring(database.path))
        else { return }
        logger.warning("a mongod left over from before is asked to end", metadata: ["pid": "\(pid)"])
        kill(pid, SIGTERM)
        for _ in 0..<600 where kill(pid, 0) == 0 { try await Task.sleep(for: .milliseconds(100)) }
        guard kill(pid, 0) != 0 else {
            throw BrimError(
                .unavailable, "another mongod (process \(pid)) uses \(database.path)",
                advice: "Is another master running on this --data? Stop it first")
        }
    }

    private func waitUntilPrimary() async throws {
        let client = try MongoClient(
            uri: "mongodb://127.0.0.1:\(port)/?directConnection=true",
            options: MongoClientOptions(poolSize: 1, serverSelectionTimeout: .seconds(1)), logger: logger)
        do {
            try await initiate(client.database("admin"))
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    /// How often a mongod that ends while it starts is started again.
    private static let startAttempts = 6

    private func initiate(_ admin: MongoDatabase) async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        var attempts = 0
        while ContinuousClock.now < deadline {
            if let status = process?.exitStatus {
                attempts += 1
                guard attempts < Self.startAttempts else {
                    throw BrimError(
                        .unavailable, "mongod ends with status \(status) instead of starting",
                        advice: "Its log is \(logFile.path)")
                }
                try await launchAgain(attempt: attempts, status: status)
            } else if let hello = try? await admin.runCommand(["hello": 1]) {
                if hello["isWritablePrimary"]?.boolValue == true { return }
                // One that is not in its own configuration calls itself a replica set without one, too.
                if try await !moveMember(admin), hello["isreplicaset"]?.boolValue == true {
                    let member: BSONDocument = ["_id": 0, "host": .string("127.0.0.1:\(port)")]
                    let configuration: BSONDocument = [
                        "_id": .string(Self.replicaSet), "members": .documents([member]),
                    ]
                    _ = try? await admin.runCommand(["replSetInitiate": .document(configuration)])
                }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw BrimError(
            .unavailable, "mongod did not become ready within two minutes", advice: "Its log is \(logFile.path)")
    }

    /// The replica set's one member may have another port since the last start: then it is told so. Whether there is a
    /// replica set already.
    private func moveMember(_ admin: MongoDatabase) async throws -> Bool {
        guard let reply = try? await admin.runCommand(["replSetGetConfig": 1]),
            var configuration = reply["config"]?.documentValue,
            var member = configuration["members"]?.arrayValue?.first?.documentValue
        else { return false }
        guard member["host"]?.stringValue != "127.0.0.1:\(port)" else { return true }
        member["host"] = .string("127.0.0.1:\(port)")
        configuration["members"] = .documents([member])
        configuration["version"] = .int64((configuration["version"]?.int64Value ?? 1) + 1)
        _ = try? await admin.runCommand(["replSetReconfig": .document(configuration), "force": true])
        return true
    }
}
