import ChildProcesses
import Foundation
import MongoDriver
import Synchronization

/// A real mongod for tests: a replica set of one node on loopback, on a free port, in a directory of its own.
///
/// It never outlives the process that started it: a guard, a shell that reads a pipe of which only this process holds
/// the other end, ends it and removes its directory when the pipe closes, for whatever reason. Needs Linux (`/proc`).
public final class PrivateMongod: Sendable {
    public struct StartError: Error, CustomStringConvertible {
        public let description: String
    }

    private static let replicaSet = "brim-test"
    /// Mostly for machines that are busy with other things.
    private static let startLimit = Duration.seconds(90)

    /// On 127.0.0.1; stays the same over a restart.
    public let port: Int
    /// Holds the data and `mongod.log`.
    public let directory: URL
    private let binary: String
    /// On the leash of the guard.
    private let running = Mutex<ChildProcess?>(nil)

    public var uri: String { "mongodb://127.0.0.1:\(port)/?replicaSet=\(Self.replicaSet)" }

    /// Of mongod; 0 when it is stopped.
    public var pid: Int32 { running.withLock { $0?.pid ?? 0 } }

    private init(binary: String, port: Int, directory: URL) {
        self.binary = binary
        self.port = port
        self.directory = directory
    }

    /// What happens when this process dies: the guard ends mongod and removes its directory, in its own time.
    public func dropLeash() {
        running.withLock { $0?.releaseLeash() }
    }

    // MARK: Starting

    private static let sharedStart = Task { try await start() }

    /// The one mongod of this test process, started at the first call and ended with the process.
    public static func shared() async throws -> PrivateMongod {
        try await sharedStart.value
    }

    /// A name that no other test uses, within MongoDB's 63 bytes.
    public static func freshDatabaseName(_ prefix: String = "test") -> String {
        "\(prefix.prefix(30))-\(ObjectID().hex)"
    }

    /// Returns when it is primary. Throws ``StartError`` with the end of mongod's log if it does not come up.
    public static func start() async throws -> PrivateMongod {
        let binary = try findBinary()
        for _ in 1..<5 {
            do {
                return try await start(binary)
            } catch let error as StartError where error.description.contains("Address already in use") {
                // Another process took the port before mongod did.
                continue
            }
        }
        return try await start(binary)
    }

    private static func start(_ binary: String) async throws -> PrivateMongod {
        let directory = FileManager.default.temporaryDirectory.appending(path: "brim-mongod-\(ObjectID().hex)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let mongod = PrivateMongod(binary: binary, port: try FreePort.any(), directory: directory)
        do {
            try mongod.launch()
            try await mongod.waitUntilPrimary()
            return mongod
        } catch {
            await mongod.stop()
            throw error
        }
    }

    /// `BRIM_MONGOD`, else on PATH, else the newest below the cache directory where `deploy/get-mongod` puts it.
    static func findBinary() throws -> String {
        let environment = ProcessInfo.processInfo.environment
        if let path = environment["BRIM_MONGOD"], !path.isEmpty { return path }
        let files = FileManager.default
        let onPath = (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/mongod" }
        if let path = onPath.first(where: files.isExecutableFile(atPath:)) { return path }
        let home = environment["HOME"] ?? "/"
        let cache = (environment["XDG_CACHE_HOME"] ?? "\(home)/.cache") + "/brim"
        let cached = (files.enumerator(atPath: cache)?.compactMap { $0 as? String } ?? [])
            .filter { ($0 as NSString).lastPathComponent == "mongod" }
            .map { "\(cache)/\($0)" }
            .filter { files.isExecutableFile(atPath: $0) }
            .sorted { $0.compare($1, options: .numeric) == .orderedAscending }
        guard let newest = cached.last else {
            throw StartError(
                description: "no mongod: set BRIM_MONGOD, put one on PATH, or run deploy/get-mongod (\(cache))")
        }
        return newest
    }

    /// Becomes mongod, after leaving behind the guard, which waits for a line or the end of its input. The directory in
    /// the command line tells mongod from another process that got its id later.
    private static let guardScript = """
        directory=$1
        shift
        mongod=$$
        exec 3<&0 </dev/null >>"$directory/mongod.log" 2>&1
        (
            trap '' INT TERM HUP
            read -r word <&3 || word=
            runs() { grep -qaF -- "$directory" "/proc/$mongod/cmdline" 2>/dev/null; }
            runs && kill -TERM $mongod
            tries=0
            while runs && [ $tries -lt 150 ]; do sleep 0.1; tries=$((tries + 1)); done
            runs && kill -KILL $mongod
            [ "$word" = keep ] || rm -rf "$directory"
        ) &
        exec 3<&-
        exec "$@"
        """

    private func launch() throws {
        let arguments =
            [
                "-c", Self.guardScript, "mongod-guard", directory.path, binary,
                "--dbpath", directory.path, "--port", String(port), "--bind_ip", "127.0.0.1",
                "--replSet", Self.replicaSet, "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "256",
                "--nounixsocket",
            ]
            + [
                // For fail points; a node without others need not wait for them before it stops.
                "enableTestCommands=1", "shutdownTimeoutMillisForSignaledShutdown=100",
                "diagnosticDataCollectionEnabled=false",
            ].flatMap { ["--setParameter", $0] }
        let process = try ChildProcess(
            URL(filePath: "/bin/sh"), arguments, input: .leash, output: .inherited, error: .inherited)
        running.withLock { $0 = process }
    }

    private func waitUntilPrimary() async throws {
        let client = try MongoClient(
            uri: "mongodb://127.0.0.1:\(port)/?directConnection=true",
            options: MongoClientOptions(poolSize: 1, serverSelectionTimeout: .seconds(2)))
        do {
            try await waitUntilPrimary(client.database("admin"))
            await client.close()
        } catch {
            await client.close()
            throw error
        }
    }

    private func waitUntilPrimary(_ admin: MongoDatabase) async throws {
        let deadline = ContinuousClock.now + Self.startLimit
        var lastError = ""
        while ContinuousClock.now < deadline, let process = running.withLock({ $0 }), process.exit == nil {
            do {
                let hello = try await admin.runCommand(["hello": 1])
                if hello["isWritablePrimary"]?.boolValue == true { return }
                if hello["setName"] == nil { try await initiate(admin) }
            } catch let error as MongoError where error.isRetryable {
                lastError = error.description
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        let log = (try? String(contentsOf: directory.appending(path: "mongod.log"), encoding: .utf8)) ?? "no log"
        throw StartError(description: "mongod did not become primary: \(lastError)\n\(log.suffix(2000))")
    }

    private func initiate(_ admin: MongoDatabase) async throws {
        do {
            _ = try await admin.runCommand([
                "replSetInitiate": [
                    "_id": .string(Self.replicaSet), "members": [["_id": 0, "host": "127.0.0.1:\(port)"]],
                    "settings": ["electionTimeoutMillis": 1000],
                ]
            ])
        } catch let error as MongoError where error.codeName == "AlreadyInitialized" {
            return
        }
    }

    // MARK: Stopping

    /// Ends mongod, killing it if it does not stop within 15 s, and removes the directory.
    public func stop() async {
        await endProcess()
        try? FileManager.default.removeItem(at: directory)
    }

    /// Stops, and keeps its data for ``restart()``.
    public func pause() async { await endProcess() }

    /// Stops and starts on the same port with the same data; returns when it is primary again.
    public func restart() async throws {
        await endProcess()
        try launch()
        try await waitUntilPrimary()
    }

    private func endProcess() async {
        let taken = running.withLock { running in
            defer { running = nil }
            return running
        }
        taken?.releaseLeash(saying: "keep\n")
        _ = await taken?.wait()
    }
}
