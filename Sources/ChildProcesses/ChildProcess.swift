import BrimModel
import CLinux
import Dispatch
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A child process, from its start until it has ended.
///
/// It has no open file of this process but its three standard ones, leads a process group of its own, and begins with no
/// signal blocked or ignored. It is taken care of when it ends, whether or not this object is still there. Needs Linux 5.3.
public final class ChildProcess: Sendable {
    /// How a process ended.
    public enum Exit: Sendable, Equatable {
        case status(Int32)
        case signal(Int32)
    }

    public enum Input: Sendable {
        case nothing
        case file(URL)
        /// An open file, which stays the caller's to close.
        case descriptor(Int32)
        /// The reading end of a pipe of which only this process holds the other end: it is closed by
        /// ``releaseLeash(saying:)``, with this object, or when this process ends for whatever reason.
        case leash
    }

    public enum Output: Sendable {
        /// To where this process's own output of the kind goes.
        case inherited
        case discarded
        /// A file is made when there is none, for its owner alone.
        case appended(to: URL)
        /// An open file, which stays the caller's to close.
        case descriptor(Int32)
    }

    public let pid: Int32
    private let end: ChildEnd
    private let leash: Mutex<Int32?>

    /// Starts `executable`, a path. Throws `.io` when that, or opening one of the files, fails.
    ///
    /// - Parameters:
    ///   - environment: all of its environment.
    ///   - directory: nil: the one of this process.
    public init(
        _ executable: URL, _ arguments: [String],
        environment: [String: String] = ProcessInfo.processInfo.environment, directory: URL? = nil,
        input: Input = .nothing, output: Output, error: Output
    ) throws {
        var opened: [Int32] = []
        // The child has its own by then.
        defer { for descriptor in opened { close(descriptor) } }
        func file(_ path: String, _ flags: Int32) throws -> Int32 {
            let descriptor = try Self.check("open \(path)", open(path, flags | O_CLOEXEC, 0o600))
            opened.append(descriptor)
            return descriptor
        }
        func file(_ output: Output, inherited: Int32) throws -> Int32 {
            switch output {
            case .inherited: inherited
            case .discarded: try file("/dev/null", O_WRONLY)
            case .appended(let url): try file(url.path, O_WRONLY | O_CREAT | O_APPEND)
            case .descriptor(let descriptor): descriptor
            }
        }
        let standardOutput = try file(output, inherited: STDOUT_FILENO)
        let standardError = try file(error, inherited: STDERR_FILENO)
        let standardInput: Int32
        var held: Int32?
        switch input {
        case .nothing: standardInput = try file("/dev/null", O_RDONLY)
        case .file(let url): standardInput = try file(url.path, O_RDONLY)
        case .descriptor(let descriptor): standardInput = descriptor
        case .leash:
            let pipe = try Self.makePipe()
            opened.append(pipe.reading)
            (standardInput, held) = (pipe.reading, pipe.writing)
        }
        do {
            let started = Self.withCStrings([executable.path] + arguments) { arguments in
                Self.withCStrings(environment.map { "\($0)=\($1)" }) { environment in
                    brim_spawn(
                        executable.path, arguments, environment, directory?.path, standardInput, standardOutput,
                        standardError)
                }
            }
            pid = try Self.check("start \(executable.path)", started)
            end = try ChildEnd(of: pid)
        } catch {
            if let held { close(held) }
            throw error
        }
        leash = Mutex(held)
    }

    deinit { releaseLeash() }

    /// A pipe of which no child has an end unless it is given it; both ends are the caller's to close. Throws `.io`.
    public static func makePipe() throws -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        _ = try check("make a pipe", brim_make_pipe(&ends))
        return (ends[0], ends[1])
    }

    static func check(_ what: String, _ result: Int32) throws -> Int32 {
        guard result >= 0 else { throw BrimError(.io, "cannot \(what): \(String(cString: strerror(errno)))") }
        return result
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }

    /// nil while it runs.
    public var exit: Exit? { end.exit }

    /// Returns how it ended, once it has; also in a task that was cancelled.
    public func wait() async -> Exit { await end.wait() }

    /// Sends a signal; no effect when it has ended.
    public func send(_ signal: Int32) { end.send(signal) }

    /// Closes the pipe from which the child reads, after writing what it is told with that. No effect a second time.
    public func releaseLeash(saying words: String = "") {
        let held = leash.withLock { held in
            defer { held = nil }
            return held
        }
        guard let held else { return }
        // Whether the child is still there to read it is for the child to say, when it ends.
        if !words.isEmpty { _ = write(held, words, words.utf8.count) }
        close(held)
    }
}
