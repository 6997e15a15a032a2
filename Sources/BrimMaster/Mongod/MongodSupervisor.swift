import BrimMetadata
import BrimModel
import BrimWire
import Foundation
import Logging
import MongoDriver
import ServiceLifecycle
import Synchronization

/// Runs a mongod, restarted when it dies, ended with this process: a replica set of one node on loopback, for one master, or a
/// member of a replica set of the swarm's.
///
/// Below `directory`: `db/` (MongoDB's files), `mongod.log`; of one on loopback `port` (kept, so that shells and tools find it
/// again), of a member `key`.
actor MongodSupervisor: Service {
    /// What the mongod is.
    enum Part: Sendable {
        /// On loopback, without passwords.
        case alone
        case member(MongodService.Configuration)
    }

    private let executable: URL
    private let directory: URL
    private let part: Part
    private let logger: Logger
    /// The one started last; also ended by whoever cancels the start.
    private let latest = Mutex<GuardedProcess?>(nil)
    private var process: GuardedProcess? { latest.withLock { $0 } }
    /// Known to all who use the database, so it stays as it is while this master runs.
    private var port = 0
    private var stopping = false

    init(executable: URL, directory: URL, part: Part = .alone, logger: Logger) {
        self.executable = executable
        self.directory = directory
        self.part = part
        self.logger = logger
    }

    /// Starts mongod and returns its URI: once it accepts writes, or, of a member, once it answers. Throws `.io`,
    /// `.unavailable`, and `.conflict` when the data is of another part; when cancelled, mongod has been asked to end.
    func start() async throws -> String {
        do {
            try FileManager.default.createDirectory(
                at: database, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw BrimError(.io, "cannot make \(database.path): \(error.localizedDescription)", advice: "Check --data")
        }
        try writeKey()
        try await endLeftover()
        port = try await choosePort()
        try launch()
        try await withTaskCancellationHandler {
            try await waitUntilReady()
        } onCancel: {
            // A command under way is not cut short by cancelling; it fails when mongod goes.
            latest.withLock { $0 }?.terminate()
        }
        logger.info("mongod is ready", metadata: ["mongod.address": "\(own)", "mongod.path": "\(executable.path)"])
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

    private static func uri(port: Int) -> String {
        "mongodb://127.0.0.1:\(port)/?replicaSet=\(MongodMembers.replicaSet)"
    }

    // MARK: - Details

    /// What this one is called in the configuration of its replica set.
    private var own: String {
        if case .member(let member) = part { "\(member.own)" } else { "127.0.0.1:\(port)" }
    }
    private var uri: String {
        if case .member(let member) = part { return member.members.uri }
        return Self.uri(port: port)
    }
    /// To this one alone.
    private var directURI: String {
        let here = HostPort(host: "127.0.0.1", port: port)
        if case .member(let member) = part { return member.members.directURI(here) }
        return "mongodb://\(here)/?directConnection=true"
    }
    private var database: URL { directory.appendingPathComponent("db") }
    private var logFile: URL { directory.appendingPathComponent("mongod.log") }
    private var portFile: URL { directory.appendingPathComponent("port") }
    private var keyFile: URL { directory.appendingPathComponent("key") }

    private func writeKey() throws {
        guard case .member(let member) = part else { return }
        do {
            if !FileManager.default.fileExists(atPath: keyFile.path) {
                guard
                    FileManager.default.createFile(
                        atPath: keyFile.path, contents: nil, attributes: [.posixPermissions: 0o600])
                else { throw CocoaError(.fileWriteUnknown) }
            }
            try Data("\(member.members.key)\n".utf8).write(to: keyFile)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: keyFile.path)
        } catch {
            throw BrimError(
                .io, "cannot write in \(directory.path): \(error.localizedDescription)", advice: "Check --data")
        }
    }

    private func launchAgain(attempt: Int, status: Int32) async throws {
        logger.error(
            "mongod ended and is started again",
            metadata: ["exit.status": "\(status)", "mongod.log": "\(logFile.path)"])
        try await Task.sleep(for: .milliseconds(min(10_000, 200 * attempt * attempt)))
        if !stopping { try launch() }
    }

    private func launch() throws {
        let common = [
            "--dbpath", database.path, "--port", String(port), "--replSet", MongodMembers.replicaSet, "--nounixsocket",
        ]
        let launched = try GuardedProcess(executable, common + partArguments, log: logFile)
        latest.withLock { $0 = launched }
    }

    private var partArguments: [String] {
        switch part {
        case .alone: ["--bind_ip", "127.0.0.1", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "256"]
        case .member(let member):
            [
                "--bind_ip", Self.addresses(of: member.listen.host),
                "--wiredTigerCacheSizeGB", "\(Double(member.cache) / Double(1 << 30))", "--keyFile", keyFile.path,
                // Enough for hours away; who is away for longer copies everything anew.
                "--oplogSize", "1024",
            ] + ReplicaSetTimes.arguments + (member.listen.host.contains(":") ? ["--ipv6"] : [])
        }
    }

    /// What a mongod is to bind to: the loopback, too, where this process speaks to it.
    private static func addresses(of host: String) -> String {
        switch host {
        case "::": "::,0.0.0.0"
        case "0.0.0.0", "127.0.0.1": host
        case "localhost": "127.0.0.1"
        default: "127.0.0.1,\(host)"
        }
    }

    /// A mongod that ends gives up its database a moment before its port.
    private static let portPatience = Duration.seconds(5)

    /// A member's own. Of one on loopback: the port used before when it is free (or ours) or becomes so soon, else a free one,
    /// which is kept.
    private func choosePort() async throws -> Int {
        if case .member(let member) = part {
            let listen = member.listen
            guard try await isFreeSoon(listen.port) else {
                throw BrimError(
                    .unavailable, "port \(listen.port) is taken, so no mongod can listen on it",
                    advice: "Stop who has it ('ss -ltnp' tells), or choose another one with --listen")
            }
            return listen.port
        }
        let known = (try? String(contentsOf: portFile, encoding: .utf8)).flatMap {
            Int($0.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        if let known, try await isFreeSoon(known) { return known }
        let port = try FreePort.find()
        if let known {
            logger.warning(
                "mongod moves: its port is taken",
                metadata: ["mongod.port.taken": "\(known)", "mongod.port": "\(port)"])
        }
        try Data("\(port)\n".utf8).write(to: portFile, options: .atomic)
        return port
    }

    private func isFreeSoon(_ port: Int) async throws -> Bool {
        let deadline = ContinuousClock.now + Self.portPatience
        repeat {
            if FreePort.isFree(port) { return true }
            try await Task.sleep(for: .milliseconds(50))
        } while ContinuousClock.now < deadline
        return false
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

    private func waitUntilReady() async throws {
        let client = try MongoClient(
            uri: directURI, options: MongoClientOptions(poolSize: 1, serverSelectionTimeout: .seconds(1)),
            logger: logger)
        do {
            try await waitUntilReady(client.database("admin"))
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    /// How often a mongod that ends while it starts is started again.
    private static let startAttempts = 6

    private func waitUntilReady(_ admin: MongoDatabase) async throws {
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
                if hello["isWritablePrimary"]?.boolValue == true, hello["me"]?.stringValue == own { return }
                // One that is not in its own configuration calls itself a replica set without one, too.
                let isConfigured = try await moveMember(admin)
                if case .member = part {
                    // With others the rest is the keeper's.
                    if isConfigured ?? false, hello["setName"] != nil { return }
                    if isConfigured == false { return }
                } else if isConfigured == false, hello["isreplicaset"]?.boolValue == true {
                    let member: BSONDocument = ["_id": 0, "host": .string(own)]
                    let configuration: BSONDocument = [
                        "_id": .string(MongodMembers.replicaSet), "members": .documents([member]),
                    ]
                    _ = try? await admin.runCommand(["replSetInitiate": .document(configuration)])
                }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw BrimError(
            .unavailable, "mongod did not become ready within two minutes", advice: "Its log is \(logFile.path)")
    }

    /// The replica set's one member may have another address since the last start: then it is told so. Whether there is a
    /// replica set already; nil when that cannot be told yet. Throws `.conflict` when it has several members, and this is none
    /// of them, or is to be alone: it would lead a life of its own.
    private func moveMember(_ admin: MongoDatabase) async throws -> Bool? {
        let reply: BSONDocument
        do {
            reply = try await admin.runCommand(["replSetGetConfig": 1])
        } catch let error as MongoError {
            return error.code == MongodMembers.notInitialized ? false : nil
        }
        guard var configuration = reply["config"]?.documentValue,
            let members = configuration["members"]?.arrayValue?.compactMap(\.documentValue), var member = members.first
        else { return nil }
        let names = members.compactMap { $0["host"]?.stringValue }
        if members.count > 1 {
            guard case .member(let kept) = part, let index = names.firstIndex(of: own) else { throw otherPart(names) }
            guard kept.isSoleSurvivor else { return true }
            logger.warning("this member goes on without the others", metadata: ["mongod.members": "\(names)"])
            member = members[index]
        } else if names.first == own {
            return true
        }
        member["host"] = .string(own)
        configuration["members"] = .documents([member])
        configuration["version"] = .int64((configuration["version"]?.int64Value ?? 1) + 1)
        _ = try? await admin.runCommand(["replSetReconfig": .document(configuration), "force": true])
        return true
    }

    private func otherPart(_ names: [String]) -> BrimError {
        let found = "the MongoDB data in \(directory.path) belongs to a replica set of \(names.joined(separator: ", "))"
        if case .member = part {
            return BrimError(
                .conflict, "\(found), and this one is \(own)",
                advice: "Start it as the member that it was (--listen, --advertise), or with a new --data",
                retryable: false)
        }
        return BrimError(
            .conflict, found,
            advice: "Run 'brim mongod' on it, and the master with --mongodb \(names.joined(separator: ","))",
            retryable: false)
    }
}
