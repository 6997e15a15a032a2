import BrimClient
import BrimModel
import BrimWire
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension Swarm {
    func daemon(_ name: String) -> Daemon? { state.withLock { $0.daemons[name] } }

    /// The process of a daemon that was started here. Throws when there is none of that name.
    public func process(of name: String) throws -> BrimProcess {
        guard let daemon = daemon(name) else { throw SwarmFailure("no daemon \(name) was started") }
        return daemon.process
    }

    /// With what a daemon was started last.
    public func arguments(of name: String) throws -> [String] {
        guard let daemon = daemon(name) else { throw SwarmFailure("no daemon \(name) was started") }
        return daemon.arguments
    }

    /// A port on which nobody listens.
    public static func unusedPort() throws -> Int { try FreePort.any() }

    // MARK: - Starting

    /// Has the clock of a daemon be so much ahead from its next start on; whole seconds, may be negative. A master of that
    /// kind needs a MongoDB that is not its own, which would have the same clock.
    public func setClock(of daemon: String, ahead: Duration) {
        state.withLock { $0.clocks[daemon] = ahead == .zero ? nil : ShiftedClock(ahead: ahead) }
    }

    /// Starts the master and returns when it is ready.
    ///
    /// - Parameter flags: more flags than those of the swarm's options, for this start and later restarts.
    public func startMaster(_ flags: [String] = []) async throws {
        try await startMaster(named: Self.master, flags)
    }

    /// Starts several masters on one database, named `master`, `master-2` and so on, and returns when all are ready.
    public func startMasters(_ count: Int, _ flags: [String] = []) async throws {
        for name in Self.masters(count) { try await startMaster(named: name, flags) }
    }

    /// Starts more masters beside the first; those that run already do not know of them beforehand.
    public func startMasters(additional count: Int, _ flags: [String] = []) async throws {
        for name in Self.masters(count + 1).dropFirst() { try await startMaster(named: name, flags) }
    }

    /// Starts a master of that name and returns when it is ready.
    ///
    /// - Parameter mongodb: takes the place of the URI of the swarm's database.
    public func startMaster(named name: String, _ flags: [String] = [], mongodb: String? = nil) async throws {
        for attempt in 1...3 {
            try await useMaster(name, port: try FreePort.any())
            try launch(name, try await masterArguments(name, flags, mongodb: mongodb))
            do {
                return try await waitUntilReady(name)
            } catch  where attempt < 3 && log(of: name).tail().contains("in use") {
                // Another process was faster to take the port.
                continue
            }
        }
    }

    private func useMaster(_ name: String, port: Int) async throws {
        state.withLock { $0.masterPorts[name] = port }
        let client = try BrimClient(
            masters: masters.map(url(of:)), memory: nil, readsOffline: false, password: password, logger: Self.silence)
        let former = state.withLock { state in
            defer { state.client = client }
            return state.client
        }
        await former?.shutdown()
    }

    private func masterArguments(_ master: String, _ flags: [String], mongodb: String?) async throws -> [String] {
        let mongod: (any TestDatabase)? =
            switch options.database {
            case .shared: try await PrivateMongod.shared()
            case .at(let mongod): mongod
            case .ownMongod: nil
            }
        var database: [String] = []
        if let mongod {
            let name = state.withLock { state in
                let name = state.database ?? PrivateMongod.freshDatabaseName("swarm")
                state.database = name
                return name
            }
            database = ["--mongodb", mongodb ?? mongod.uri, "--database", name]
        } else if let mongodb {
            database = ["--mongodb", mongodb]
        }
        let listen = String(url(of: master).dropFirst("http://".count))
        return ["master", "--listen", listen, "--data", data(of: master).path]
            + database + options.timingFlags + options.masterFlags + flags
    }

    /// Starts a slave and returns when the master says that it is up.
    public func startSlave(_ name: String, quota: String, _ flags: [String] = []) async throws {
        try await startSlaves([name], quota: quota, flags)
    }

    /// Starts several slaves of one quota and returns when all are up.
    public func startSlaves(_ names: [String], quota: String, _ flags: [String] = []) async throws {
        for name in names {
            try launch(
                name,
                [
                    "slave", "--master", masterList, "--data", data(of: name).path, "--quota", quota, "--name", name,
                    "--listen", "\(host(of: name).address):\(try FreePort.any())",
                ] + flags)
        }
        try await waitUntilUp(names)
    }

    /// Has a daemon be started with these variables from now on.
    public func setEnvironment(of daemon: String, _ variables: [String: String]) {
        state.withLock { $0.environments[daemon] = variables }
    }

    private func environment(of daemon: String, _ changes: [String: String?]) throws -> [String: String] {
        let (own, shifted) = state.withLock { ($0.environments[daemon] ?? [:], $0.clocks[daemon]) }
        let clock = try shifted?.environment() ?? [:]
        var variables = try environment((own as [String: String?]).merging(clock) { $1 }.merging(changes) { $1 })
        let libraries = [own["LD_PRELOAD"], clock["LD_PRELOAD"] ?? nil].compactMap(\.self)
        if !libraries.isEmpty { variables["LD_PRELOAD"] = libraries.joined(separator: ":") }
        return variables
    }

    /// Starts any daemon under a name of the test's own, without waiting for it.
    ///
    /// - Parameter program: one that was built beside `brim`, which is nil.
    @discardableResult
    public func launch(
        _ name: String, _ arguments: [String], program: String? = nil, environment changes: [String: String?] = [:]
    ) throws -> BrimProcess {
        let log = log(of: name)
        let executable = program.map { run.brim.deletingLastPathComponent().appending(path: $0) } ?? run.brim
        let command = host(of: name).command(executable, arguments)
        let process = try BrimProcess(
            command.executable, command.arguments, environment: try environment(of: name, changes),
            directory: scratch, stdout: log, stderr: log)
        state.withLock { state in
            if state.daemons[name] == nil { state.order.append(name) }
            state.daemons[name] = Daemon(process: process, arguments: arguments, log: log)
        }
        return process
    }

    /// Waits until a master answers that it is ready. Throws at once when it ends instead.
    public func waitUntilReady(_ name: String) async throws {
        let process = try process(of: name)
        try await waitFor("\(name) is ready", within: .seconds(90)) {
            guard process.isRunning else { throw Hopeless("\(name) ended: \(String(describing: process.exit))") }
            return try await answersReady(url(of: name))
        }
    }

    private func answersReady(_ url: String) async throws -> Bool {
        let reply = try await peer.download("\(url)/readyz", headers: [], token: nil, idle: .seconds(5))
        for try await _ in reply.body {}
        return reply.status == 200
    }

    /// Waits until these servers say that they have joined, and the master that they are up. Throws at once when one of
    /// them ended.
    public func waitUntilUp(_ names: [String]) async throws {
        try await waitFor("\(names.joined(separator: ", ")) up", within: .seconds(90)) {
            for name in names {
                guard let daemon = daemon(name) else { throw Hopeless("no daemon \(name) was started") }
                guard daemon.process.isRunning else {
                    throw Hopeless("\(name) ended: \(String(describing: daemon.process.exit))")
                }
                // The master may not have noticed yet that it was away.
                guard let listen = daemon.arguments.firstIndex(of: "--listen"),
                    try await answersReady("http://\(daemon.arguments[listen + 1])")
                else { return false }
            }
            let servers = try await status().servers
            return names.allSatisfy { name in servers.contains { $0.name.rawValue == name && $0.state == .up } }
        }
    }
}
