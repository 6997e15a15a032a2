import Foundation

/// A process that runs beside the benchmark, with its log in a file.
final class Daemon {
    private let process = Process()
    private let log: URL

    init(_ executable: String, _ arguments: [String], environment: [String: String] = [:], log: URL) throws {
        self.log = log
        process.executableURL = URL(fileURLWithPath: executable)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        FileManager.default.createFile(atPath: log.path, contents: nil)
        let file = try FileHandle(forWritingTo: log)
        process.standardOutput = file
        process.standardError = file
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    deinit { stop() }

    /// Ends it, and waits until it has.
    func stop() {
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
    }

    /// Throws with the end of its log when it has ended by itself.
    func check() throws {
        guard !process.isRunning else { return }
        let text = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
        throw BenchmarkError("\(process.executableURL?.lastPathComponent ?? "a daemon") ended: \(text.suffix(2000))")
    }

    /// Bytes of memory that it has now.
    var memory: Double {
        get throws {
            let text = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
            let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
            return (line?.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0) * 1024
        }
    }

    /// Asks until it is so, or for too long.
    func wait(
        atMost limit: Duration, for what: String, _ isSo: () async throws -> Bool
    ) async throws {
        let end = ContinuousClock.now + limit
        while try await !isSo() {
            try check()
            guard ContinuousClock.now < end else { throw BenchmarkError("waited \(limit) for \(what)") }
            try await Task.sleep(for: .milliseconds(50))
        }
    }
}

struct BenchmarkError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
