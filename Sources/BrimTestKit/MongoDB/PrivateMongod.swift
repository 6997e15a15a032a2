import Foundation
import MongoDriver

/// A MongoDB deployment that a test has started.
public protocol TestDatabase: Sendable {
    var uri: String { get }
}

/// A real mongod for tests: a replica set of one node on loopback, on a free port, in a directory of its own. It never
/// outlives the process that started it.
public final class PrivateMongod: TestDatabase {
    public typealias StartError = MongodStartError

    private static let replicaSet = "brim-test"
    /// Mostly for machines that are busy with other things.
    private static let startLimit = Duration.seconds(90)

    private let process: MongodProcess

    /// On 127.0.0.1; stays the same over a restart.
    public var port: Int { process.port }
    /// Holds the data and `mongod.log`.
    public var directory: URL { process.directory }

    public var uri: String { "mongodb://127.0.0.1:\(port)/?replicaSet=\(Self.replicaSet)" }

    /// Of mongod; 0 when it is stopped.
    public var pid: Int32 { process.pid }

    private init(_ process: MongodProcess) { self.process = process }

    /// What happens when this process dies: the guard ends mongod and removes its directory, in its own time.
    public func dropLeash() { process.dropLeash() }

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

    static func findBinary() throws -> String { try MongodProcess.findBinary() }

    /// Returns when it is primary. Throws ``StartError`` with the end of mongod's log if it does not come up.
    public static func start() async throws -> PrivateMongod {
        for _ in 1..<5 {
            do {
                return try await startOnce()
            } catch let error as StartError where error.description.contains("Address already in use") {
                // Another process took the port before mongod did.
                continue
            }
        }
        return try await startOnce()
    }

    private static func startOnce() async throws -> PrivateMongod {
        let mongod = PrivateMongod(try MongodProcess(replicaSet: replicaSet))
        do {
            try mongod.process.launch()
            try await mongod.waitUntilPrimary()
            return mongod
        } catch {
            await mongod.stop()
            throw error
        }
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
        while ContinuousClock.now < deadline, process.isRunning {
            do {
                let hello = try await admin.runCommand(["hello": 1])
                if hello["isWritablePrimary"]?.boolValue == true { return }
                if hello["setName"] == nil { try await initiate(admin) }
            } catch let error as MongoError where error.isRetryable {
                lastError = error.description
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw StartError(description: "mongod did not become primary: \(lastError)\n\(process.log)")
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
    public func stop() async { await process.remove() }

    /// Stops, and keeps its data for ``restart()``.
    public func pause() async { await process.end() }

    /// Stops and starts on the same port with the same data; returns when it is primary again.
    public func restart() async throws {
        await process.end()
        try process.launch()
        try await waitUntilPrimary()
    }
}
