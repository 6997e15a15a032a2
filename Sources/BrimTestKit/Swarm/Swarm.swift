import BrimClient
import BrimModel
import BrimWire
import Foundation
import Logging
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A swarm of real processes in a fresh directory: a master, slaves, and commands that speak to them.
///
/// ```swift
/// try await Swarm.run { swarm in
///     try await swarm.startMaster()
///     try await swarm.startSlave("alpha", quota: "1M")
///     try await swarm.put("hello", to: "/hello.txt")
/// }
/// ```
///
/// Whatever happens in the closure, nothing is left of the swarm when ``run(_:_:)`` returns. Failures that are thrown
/// carry the last status and the ends of all daemons' logs.
public final class Swarm: Sendable {
    /// A daemon that was started here, running or not.
    struct Daemon: Sendable {
        var process: BrimProcess
        /// Starts it the same way again.
        var arguments: [String]
        var log: URL
    }

    struct State: Sendable {
        var daemons: [String: Daemon] = [:]
        /// Names in the order of their first start.
        var order: [String] = []
        var commands = 0
        /// By name.
        var masterPorts: [String: Int] = [:]
        /// Speaks to all masters.
        var client: BrimClient?
        /// The name of the database in the shared mongod.
        var database: String?
        /// Where it has moved since the start.
        var databaseURI: String?
        var watchesQuotas = false
        /// More variables of daemons, by name.
        var environments: [String: [String: String]] = [:]
        var endings: [@Sendable () async -> Void] = []
        /// Of daemons whose clocks are wrong.
        var clocks: [String: ShiftedClock] = [:]
    }

    /// Name of the first master among the daemons.
    public static let master = "master"
    /// Names of the first masters.
    static func masters(_ count: Int) -> [String] { (1...count).map { $0 == 1 ? master : "\(master)-\($0)" } }

    public let run: TestRun
    public let directory: URL
    public let password: String
    public let options: SwarmOptions
    /// Signs tokens as `brim token` does.
    public let keys: SwarmKeys
    let peer: PeerClient
    let state = Mutex(State())

    static let silence = Logger(label: "swarm") { _ in SwiftLogNoOpLogHandler() }

    private init(_ options: SwarmOptions) throws {
        self.options = options
        run = try TestRun.shared()
        directory = try run.swarmDirectory()
        password = (0..<4).map { _ in String(UInt32.random(in: 0...UInt32.max), radix: 36) }.joined(separator: "-")
        keys = try SwarmKeys(password: password)
        peer = PeerClient(logger: Self.silence)
        try Data("\(password)\n".utf8).write(to: passwordFile)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: passwordFile.path)
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
    }

    /// Makes a swarm without daemons, runs `body` with it, ends all that was started and removes the directory.
    public static func run<Result>(
        _ options: SwarmOptions = SwarmOptions(), _ body: (Swarm) async throws -> Result
    ) async throws -> Result {
        let swarm = try Swarm(options)
        do {
            let result = try await body(swarm)
            await Task { await swarm.end() }.value
            return result
        } catch {
            let failure = await swarm.explained(error)
            // A task of its own: cleaning up must not be cut short when the test was cancelled.
            await Task { await swarm.end() }.value
            throw failure
        }
    }

    // MARK: - Places

    public var passwordFile: URL { directory.appending(path: "password") }
    /// For files that a test makes.
    public var scratch: URL { directory.appending(path: "scratch") }
    var home: URL { directory.appending(path: "home") }
    /// A daemon's data directory.
    public func data(of daemon: String) -> URL { directory.appending(path: "data-\(daemon)") }
    /// A daemon's log.
    public func log(of daemon: String) -> URL { directory.appending(path: "\(daemon).log") }

    /// Of the first master; 0 before it was started.
    public var masterPort: Int { state.withLock { $0.masterPorts[Self.master] ?? 0 } }
    public var url: String { url(of: Self.master) }
    /// Of one of the masters.
    public func url(of master: String) -> String {
        "http://\(host(of: master).address):\(state.withLock { $0.masterPorts[master] ?? 0 })"
    }
    /// Where a daemon runs.
    func host(of daemon: String) -> TestHost { options.hosts[daemon] ?? .loopback }
    /// Names of the masters that were started, the first one first.
    public var masters: [String] { state.withLock { $0.masterPorts.keys.sorted() } }
    /// URLs of all masters, as a list for flags.
    public var masterList: String { masters.map(url(of:)).joined(separator: ",") }
    /// Names of the slaves that were started, in that order.
    public var slaves: [String] { state.withLock { state in state.order.filter { state.masterPorts[$0] == nil } } }

    /// A client with all rights. Throws before the master was started.
    public func client() throws -> BrimClient {
        guard let client = state.withLock({ $0.client }) else { throw SwarmFailure("no master was started") }
        return client
    }

    /// A token that may do everything.
    public func adminToken() throws -> String { try keys.sign(.admin(subject: "test")) }

    /// The environment of every process: this process's own without settings of BrimFS, and the swarm's.
    func environment(_ changes: [String: String?] = [:]) throws -> [String: String] {
        var environment = ProcessInfo.processInfo.environment.filter { name, _ in
            !name.hasPrefix("BRIM_") && !name.hasPrefix("XDG_")
        }
        environment[TestRun.marker] = run.directory.path
        environment["HOME"] = home.path
        environment["BRIM_PASSWORD_FILE"] = passwordFile.path
        environment["BRIM_MONGOD"] = try PrivateMongod.findBinary()
        // A process that is killed leaves libmongoc's counters in shared memory, where a later one of its number trips.
        environment["MONGOC_DISABLE_SHM"] = "1"
        if masterPort != 0 { environment["BRIM_MASTER"] = masterList }
        for (name, value) in changes { environment[name] = value }
        return environment
    }

    // MARK: - The end

    /// Has something done when all daemons have ended, whatever happened; what was asked for last comes first.
    public func atEnd(_ ending: @escaping @Sendable () async -> Void) { state.withLock { $0.endings.append(ending) } }

    /// Ends all daemons, the youngest first, and removes the directory.
    private func end() async {
        await state.withLock { $0.client }?.shutdown()
        await peer.shutdown()
        for name in state.withLock({ $0.order }).reversed() {
            await daemon(name)?.process.end(patience: .seconds(15))
        }
        for pid in leftovers() { kill(pid, SIGKILL) }
        for ending in state.withLock({ $0.endings }).reversed() { await ending() }
        if !TestRun.keepsDirectories { try? FileManager.default.removeItem(at: directory) }
    }

    /// Processes of this swarm that run without being one of its daemons, for example a master's mongod.
    public func leftovers() -> [Int32] {
        let own = state.withLock { Set($0.daemons.values.filter(\.process.isRunning).map(\.process.pid)) }
        let mark = Data("HOME=\(home.path)\0".utf8)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.filter { pid in
            guard !own.contains(pid), let environment = FileManager.default.contents(atPath: "/proc/\(pid)/environ")
            else { return false }
            return environment.range(of: mark) != nil
        }
    }
}
