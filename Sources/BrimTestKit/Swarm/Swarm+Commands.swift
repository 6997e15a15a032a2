import BrimModel
import BrimWire
import Foundation
import Synchronization

extension Swarm {
    // MARK: - The command line

    /// Runs `brim` and returns when it has ended, with whatever status. Throws when it does not end in time, or is
    /// killed by a signal.
    ///
    /// - Parameters:
    ///   - input: what it reads from standard input.
    ///   - changes: variables to set, or with nil to take away.
    ///   - ahead: by how much its clock is; whole seconds, may be negative.
    public func cli(
        _ arguments: [String], input: Data? = nil, environment changes: [String: String?] = [:],
        clockAhead ahead: Duration = .zero, within limit: Duration = .seconds(90)
    ) async throws -> CommandResult {
        let clock = ahead == .zero ? [:] : try ShiftedClock(ahead: ahead).environment()
        return try await command(
            run.brim, arguments, input: input, environment: changes.merging(clock) { $1 }, within: limit)
    }

    /// Runs `brim` and throws unless it ends with status 0.
    @discardableResult
    public func brim(_ arguments: String..., input: Data? = nil) async throws -> CommandResult {
        let result = try await cli(arguments, input: input)
        guard result.status == 0 else { throw SwarmFailure("\(result)") }
        return result
    }

    /// Runs a line of shell with `brim` on PATH.
    public func shell(_ line: String, within limit: Duration = .seconds(90)) async throws -> CommandResult {
        let path = "\(run.brim.deletingLastPathComponent().path):\(ProcessInfo.processInfo.environment["PATH"] ?? "")"
        return try await command(
            URL(filePath: "/bin/sh"), ["-c", line], environment: ["PATH": path], within: limit)
    }

    func command(
        _ executable: URL, _ arguments: [String], input: Data? = nil, environment changes: [String: String?] = [:],
        within limit: Duration
    ) async throws -> CommandResult {
        let number = state.withLock { state in
            state.commands += 1
            return state.commands
        }
        let (stdin, stdout, stderr) = (file("in", number), file("out", number), file("err", number))
        if let input { try input.write(to: stdin) }
        defer { for used in [stdin, stdout, stderr] { try? FileManager.default.removeItem(at: used) } }
        let process = try BrimProcess(
            executable, arguments, environment: try environment(changes), directory: scratch,
            stdin: input == nil ? nil : stdin, stdout: stdout, stderr: stderr)
        do {
            guard case .status(let status) = try await process.waitForExit(within: limit) else {
                throw SwarmFailure(
                    "\(process.commandLine) was killed: \(String(describing: process.exit))\n\(stderr.tail())")
            }
            return CommandResult(
                commandLine: process.commandLine, status: status, stdout: try Data(contentsOf: stdout),
                stderr: String(decoding: try Data(contentsOf: stderr), as: UTF8.self))
        } catch {
            await process.end(patience: .zero)
            throw error
        }
    }

    private func file(_ kind: String, _ number: Int) -> URL { directory.appending(path: "command-\(number).\(kind)") }

    /// Has the command line know no masters but those that it is told of.
    public func forgetRememberedMasters() throws {
        let cache = home.appending(path: ".cache/brim")
        for file in (try? FileManager.default.contentsOfDirectory(at: cache, includingPropertiesForKeys: nil)) ?? []
        where file.lastPathComponent.hasPrefix("swarm-") { try FileManager.default.removeItem(at: file) }
    }

    // MARK: - curl

    /// Makes a request to the master with curl and a token that may do everything; redirects are followed only with
    /// `-L` among the arguments.
    ///
    /// - Parameter path: from the first slash on, encoded; or a whole URL.
    public func curl(_ path: String, _ arguments: String...) async throws -> CurlResult {
        try await request(path, arguments, token: try adminToken())
    }

    /// As above, with all-powerful token and a list of arguments.
    public func request(_ path: String, _ arguments: [String]) async throws -> CurlResult {
        try await request(path, arguments, token: try adminToken())
    }

    /// As ``curl(_:_:)``, with a token of the caller's choice; nil: none.
    public func request(_ path: String, _ arguments: [String], token: String?) async throws -> CurlResult {
        let number = state.withLock { state in
            state.commands += 1
            return state.commands
        }
        let (body, head) = (file("body", number), file("head", number))
        defer { for used in [body, head] { try? FileManager.default.removeItem(at: used) } }
        let result = try await command(
            URL(filePath: "/usr/bin/env"),
            [
                "curl", "-sS", "--max-time", "60", "-o", body.path, "-D", head.path, "-w",
                "%{http_code} %{num_redirects}",
            ] + (token.map { ["-H", "Authorization: Bearer \($0)"] } ?? []) + arguments
                + [path.hasPrefix("/") ? url + path : path], within: .seconds(90))
        let numbers = result.text.split(separator: " ").compactMap { Int($0) }
        guard result.status == 0, numbers.count == 2 else { throw SwarmFailure("\(result)") }
        return CurlResult(
            status: numbers[0], headers: try Self.lastHeaders(head), redirects: numbers[1],
            // curl writes the head of an answer to HEAD there.
            body: arguments.contains("-I") ? Data() : (try? Data(contentsOf: body)) ?? Data())
    }

    private static func lastHeaders(_ file: URL) throws -> [String: String] {
        let text = String(decoding: try Data(contentsOf: file), as: UTF8.self).replacing("\r\n", with: "\n")
        let block = text.split(separator: "\n\n").last ?? ""
        let pairs = block.split(separator: "\n").dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (parts[0].lowercased(), parts.count > 1 ? parts[1].trimmingCharacters(in: .whitespaces) : "")
        }
        return Dictionary(pairs) { _, last in last }
    }
}
