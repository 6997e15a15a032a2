import ChildProcesses
import BrimMetadata
import Foundation
import MongoDriver
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Something that did not come up, or not as it should, with the end of its log.
public struct MongodStartError: Error, CustomStringConvertible {
    public let description: String
}

/// A mongod in a directory of its own, that never outlives the process that started it: a guard, a shell that
/// reads a pipe of which only this process holds the other end, ends it and removes its directory when the pipe closes, for
/// whatever reason. Needs Linux (`/proc`).
final class MongodProcess: Sendable {
    /// Stays the same over a restart.
    let port: Int
    private let host: TestHost
    /// Holds the data and `mongod.log`.
    let directory: URL
    private let binary: String
    private let replicaSet: String
    /// On the leash of the guard.
    private let running = Mutex<ChildProcess?>(nil)

    /// In a fresh directory, not started.
    init(replicaSet: String, on host: TestHost = .loopback) throws {
        self.host = host
        binary = try Self.findBinary()
        port = try FreePort.any()
        self.replicaSet = replicaSet
        directory = FileManager.default.temporaryDirectory.appending(path: "brim-mongod-\(ObjectID().hex)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    /// 0 when it is stopped.
    var pid: Int32 { running.withLock { $0?.pid ?? 0 } }
    var isRunning: Bool { running.withLock { $0.map { $0.exit == nil } ?? false } }

    /// For messages.
    var log: String {
        let text = try? String(contentsOf: directory.appending(path: "mongod.log"), encoding: .utf8)
        return text.map { String($0.suffix(2000)) } ?? "no log"
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
            throw MongodStartError(
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

    func launch() throws {
        let options =
            [
                "--dbpath", directory.path, "--port", String(port), "--bind_ip", host.address,
                "--replSet", replicaSet, "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "256",
                "--nounixsocket",
            ]
            + [
                // For fail points, and so that a member tells the others who it is; a node without others need not wait for
                // them before it stops.
                "enableTestCommands=1", "shutdownTimeoutMillisForSignaledShutdown=100",
                "diagnosticDataCollectionEnabled=false",
            ].flatMap { ["--setParameter", $0] } + ReplicaSetTimes.arguments
        let command = host.command(URL(filePath: binary), options)
        let process = try ChildProcess(
            URL(filePath: "/bin/sh"),
            ["-c", Self.guardScript, "mongod-guard", directory.path, command.executable.path] + command.arguments,
            input: .leash, output: .inherited, error: .inherited)
        running.withLock { $0 = process }
    }

    /// No effect when it is stopped.
    func send(_ signal: Int32) { running.withLock { $0?.send(signal) } }

    /// Ends it, killing it if it does not stop within 15 s, and keeps its data.
    func end() async {
        let taken = running.withLock { running in
            defer { running = nil }
            return running
        }
        taken?.releaseLeash(saying: "keep\n")
        _ = await taken?.wait()
    }

    /// Without a chance to tidy up; keeps its data.
    func kill9() async {
        send(SIGKILL)
        await end()
    }

    /// Ends it and removes its directory.
    func remove() async {
        send(SIGCONT)
        await end()
        try? FileManager.default.removeItem(at: directory)
    }

    /// What happens when this process dies: the guard ends mongod and removes its directory, in its own time.
    func dropLeash() { running.withLock { $0?.releaseLeash() } }
}
