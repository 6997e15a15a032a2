import BrimModel
import BrimWire
import Foundation
import Logging
import MongoDriver
import ServiceLifecycle

/// Runs a mongod of the master's own: a replica set of one node on loopback, restarted when it dies, ended with the master.
///
/// Below `directory`: `db/` (MongoDB's files), `mongod.log`, `port` (kept, so that shells and tools find it again).
actor MongodSupervisor: Service {
    private let executable: URL
    private let directory: URL
    private let logger: Logger
    private var process: GuardedProcess?
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
        let port = try choosePort()
        let launched = try launch(port: port)
        let uri = "mongodb://127.0.0.1:\(port)/?replicaSet=\(Self.replicaSet)"
        try await withTaskCancellationHandler {
            try await waitUntilPrimary(port: port)
        } onCancel: {
            // A command under way is not cut short by cancelling; it fails when mongod goes.
            launched.terminate()
        }
        logger.info("mongod is ready", metadata: ["mongod.uri": "\(uri)", "mongod.path": "\(executable.path)"])
        return uri
    }

    /// Restarts mongod whenever it dies, until `stop` is called.
    func run() async throws {
        var attempts = 0
        while !stopping, let current = process {
            let status = await current.wait()
            if stopping || Task.isCancelled { break }
            attempts += 1
            logger.error(
                "mongod ended and is started again",
                metadata: ["exit.status": "\(status)", "mongod.log": "\(logFile.path)"])
            do {
                try await Task.sleep(for: .milliseconds(min(10_000, 200 * attempts * attempts)))
                try launch(port: try choosePort())
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
        process = nil
    }

    // MARK: - Details

    private static let replicaSet = "brim"
    private var database: URL { directory.appendingPathComponent("db") }
    private var logFile: URL { directory.appendingPathComponent("mongod.log") }
    private var portFile: URL { directory.appendingPathComponent("port") }

    @discardableResult
    private func launch(port: Int) throws -> GuardedProcess {
        let launched = try GuardedProcess(
            executable,
            [
                "--dbpath", database.path, "--port", String(port), "--bind_ip", "127.0.0.1", "--replSet",
                Self.replicaSet,
                "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "256", "--nounixsocket",
            ], log: logFile)
        process = launched
        return launched
    }

    /// The port used before when it is free (or ours), else a free one, which is kept.
    private func choosePort() throws -> Int {
        if let text = try? String(contentsOf: portFile, encoding: .utf8),
            let port = Int(text.trimmingCharacters(in: .whitespacesAndNewlines)), FreePort.isFree(port)
        {
            return port
        }
        let port = try FreePort.find()
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

    private func waitUntilPrimary(port: Int) async throws {
        let client = try MongoClient(
            uri: "mongodb://127.0.0.1:\(port)/?directConnection=true",
            options: MongoClientOptions(poolSize: 1, serverSelectionTimeout: .seconds(1)), logger: logger)
        do {
            try await initiate(client.database("admin"), port: port)
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    private func initiate(_ admin: MongoDatabase, port: Int) async throws {
        let deadline = ContinuousClock.now + .seconds(120)
        while ContinuousClock.now < deadline {
            if let hello = try? await admin.runCommand(["hello": 1]) {
                if hello["isWritablePrimary"]?.boolValue == true { return }
                if hello["isreplicaset"]?.boolValue == true {
                    let member: BSONDocument = ["_id": 0, "host": .string("127.0.0.1:\(port)")]
                    let configuration: BSONDocument = [
                        "_id": .string(Self.replicaSet), "members": .documents([member]),
                    ]
                    _ = try? await admin.runCommand(["replSetInitiate": .document(configuration)])
                } else if hello["setName"] != nil || hello["info"] != nil {
                    try await moveMember(to: port, admin: admin)
                }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw BrimError(
            .unavailable, "mongod did not become ready within two minutes", advice: "Its log is \(logFile.path)")
    }

    /// The replica set's one member has another port since the last start: it is told so.
    private func moveMember(to port: Int, admin: MongoDatabase) async throws {
        guard let reply = try? await admin.runCommand(["replSetGetConfig": 1]),
            var configuration = reply["config"]?.documentValue,
            var member = configuration["members"]?.arrayValue?.first?.documentValue,
            member["host"]?.stringValue != "127.0.0.1:\(port)"
        else { return }
        member["host"] = .string("127.0.0.1:\(port)")
        configuration["members"] = .documents([member])
        configuration["version"] = .int64((configuration["version"]?.int64Value ?? 1) + 1)
        _ = try? await admin.runCommand(["replSetReconfig": .document(configuration), "force": true])
    }
}
