import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension Swarm {
    // MARK: - Stopping

    /// Asks a daemon to end and waits until it has. Throws when it does not end with status 0 within 20 s.
    public func stop(_ name: String) async throws {
        let process = try process(of: name)
        process.send(SIGTERM)
        let exit = try await process.waitForExit(within: .seconds(20))
        guard exit == .status(0) else {
            throw SwarmFailure("\(name) ended with \(exit) on SIGTERM\n\(process.stderr.tail())")
        }
    }

    /// Kills a daemon without a chance to tidy up.
    public func kill9(_ name: String) async throws {
        let process = try process(of: name)
        process.send(SIGKILL)
        try await process.waitForExit(within: .seconds(20))
    }

    /// Holds a daemon still: it runs, but neither answers nor speaks, as if its cable were pulled.
    public func freeze(_ name: String) throws { try process(of: name).send(SIGSTOP) }

    /// Lets a daemon run on.
    public func thaw(_ name: String) throws { try process(of: name).send(SIGCONT) }

    /// Starts a daemon that has ended once more, with the same arguments (its data and its port too), and waits until
    /// it serves.
    ///
    /// - Parameters:
    ///   - quota: replaces a slave's quota.
    ///   - port: replaces the port it listens on.
    ///   - flags: added for this and later starts.
    public func restart(_ name: String, quota: String? = nil, port: Int? = nil, _ flags: [String] = []) async throws {
        try relaunch(name, quota: quota, port: port, flags)
        if masters.contains(name) {
            try await waitUntilReady(name)
        } else {
            try await waitUntilUp([name])
        }
    }

    /// Starts a daemon that has ended once more, as ``restart(_:quota:port:_:)`` does, without waiting for it.
    @discardableResult
    public func relaunch(
        _ name: String, quota: String? = nil, port: Int? = nil, _ flags: [String] = []
    ) throws -> BrimProcess {
        guard let daemon = daemon(name) else { throw SwarmFailure("no daemon \(name) was started") }
        guard !daemon.process.isRunning else { throw SwarmFailure("\(name) still runs") }
        var arguments = daemon.arguments + flags
        if let quota, let index = arguments.firstIndex(of: "--quota") { arguments[index + 1] = quota }
        if let port, let index = arguments.firstIndex(of: "--listen") {
            arguments[index + 1] = "\(host(of: name).address):\(port)"
        }
        return try launch(name, arguments)
    }

    // MARK: - The master's own mongod

    /// Process ids of the mongods that the master of this swarm has started: one, or none while it is being restarted.
    public func ownMongods() -> [Int32] {
        leftovers().filter { pid in
            (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8))?.hasPrefix("mongod") == true
        }
    }

    /// The port that a master's own mongod was told to listen on. Throws unless exactly one runs.
    public func ownMongodPort() throws -> Int {
        let mongods = ownMongods()
        guard mongods.count == 1, let command = FileManager.default.contents(atPath: "/proc/\(mongods[0])/cmdline")
        else { throw SwarmFailure("\(mongods.count) mongods of this swarm run, not one") }
        let words = String(decoding: command, as: UTF8.self).split(separator: "\0")
        guard let flag = words.firstIndex(of: "--port"), flag + 1 < words.count, let port = Int(words[flag + 1]) else {
            throw SwarmFailure("mongod runs without --port: \(words)")
        }
        return port
    }

    /// Holds the mongod of the master still for some time, as a disk does that hangs.
    public func stallMongod(for time: Duration) async throws {
        let mongods = ownMongods()
        guard !mongods.isEmpty else { throw SwarmFailure("no mongod of this swarm runs") }
        defer { for pid in mongods { kill(pid, SIGCONT) } }
        for pid in mongods { kill(pid, SIGSTOP) }
        try await Task.sleep(for: time)
    }

    /// Sends a signal to the mongod of the master and waits until that process is gone. The master starts another. False
    /// when there is none: the master has just been killed, or is starting one.
    public func endMongod(_ signal: Int32) async throws -> Bool {
        let mongods = ownMongods()
        if mongods.isEmpty { return false }
        for pid in mongods { kill(pid, signal) }
        try await waitFor("mongod gone", within: .seconds(60)) { Set(ownMongods()).isDisjoint(with: mongods) }
        return true
    }
}
