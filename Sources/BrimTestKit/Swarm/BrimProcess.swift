import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A child process whose output goes to files, and which can be signalled and waited for.
public final class BrimProcess: Sendable {
    /// How a process ended.
    public enum Exit: Sendable, Equatable {
        case status(Int32)
        case signal(Int32)
    }

    /// The command line, for messages.
    public let commandLine: String
    public let pid: Int32
    /// Where its standard output and standard error go, both appended to.
    public let stdout: URL
    public let stderr: URL
    private let process: Process

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
        process = Process()
        process.executableURL = executable
        process.arguments = arguments
        process.environment = environment
        process.currentDirectoryURL = directory
        process.standardInput = try stdin.map { try FileHandle(forReadingFrom: $0) } ?? FileHandle.nullDevice
        let output = try Self.appending(to: stdout)
        process.standardOutput = output
        process.standardError = stdout == stderr ? output : try Self.appending(to: stderr)
        try process.run()
        pid = process.processIdentifier
    }

    private static func appending(to file: URL) throws -> FileHandle {
        let descriptor = open(file.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SwarmFailure("cannot write \(file.path): errno \(errno)") }
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    public var isRunning: Bool { process.isRunning }

    /// nil while it runs.
    public var exit: Exit? {
        guard !process.isRunning else { return nil }
        let status = process.terminationStatus
        return process.terminationReason == .exit ? .status(status) : .signal(status)
    }

    /// Sends a signal; no effect when it has ended.
    public func send(_ signal: Int32) {
        if process.isRunning { kill(pid, signal) }
    }

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
