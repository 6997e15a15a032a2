import ChildProcesses
import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A child process whose output goes to files, and which can be signalled and waited for.
public final class BrimProcess: Sendable {
    /// How a process ended.
    public typealias Exit = ChildProcess.Exit

    /// The command line, for messages.
    public let commandLine: String
    public var pid: Int32 { child.pid }
    /// Where its standard output and standard error go, both appended to.
    public let stdout: URL
    public let stderr: URL
    private let child: ChildProcess

    /// Starts `executable`.
    ///
    /// - Parameters:
    ///   - environment: all of its environment.
    ///   - stdin: a file to read from; nil: nothing to read.
    init(
        _ executable: URL, _ arguments: [String], environment: [String: String], directory: URL, stdin: URL? = nil,
        stdout: URL, stderr: URL
    ) throws {
        commandLine = ([executable.lastPathComponent] + arguments).joined(separator: " ")
        self.stdout = stdout
        self.stderr = stderr
        child = try ChildProcess(
            executable, arguments, environment: environment, directory: directory,
            input: stdin.map { .file($0) } ?? .nothing, output: .appended(to: stdout), error: .appended(to: stderr))
    }

    public var isRunning: Bool { exit == nil }

    /// nil while it runs.
    public var exit: Exit? { child.exit }

    /// Sends a signal; no effect when it has ended.
    public func send(_ signal: Int32) { child.send(signal) }

    /// Waits for its end. Throws ``SwarmFailure`` when `limit` has passed; it runs on then.
    @discardableResult
    public func waitForExit(within limit: Duration) async throws -> Exit {
        let deadline = ContinuousClock.now + limit
        while true {
            if let exit { return exit }
            guard ContinuousClock.now < deadline else {
                throw SwarmFailure("still running after \(limit): \(commandLine)\n\(stderr.tail())")
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// Ends it for certain: SIGTERM, then, when `patience` has passed, SIGKILL. Returns when it is gone.
    func end(patience: Duration) async {
        send(SIGCONT)
        send(SIGTERM)
        if (try? await waitForExit(within: patience)) == nil {
            send(SIGKILL)
            _ = try? await waitForExit(within: .seconds(30))
        }
    }
}

extension URL {
    /// The last lines of a text file, for messages.
    func tail(lines: Int = 25) -> String {
        guard let data = try? Data(contentsOf: self), !data.isEmpty else { return "(nothing)" }
        return String(decoding: data.suffix(16_384), as: UTF8.self)
            .split(separator: "\n").suffix(lines).joined(separator: "\n")
    }
}
