import BrimModel
import Foundation
import Synchronization

/// A child process that cannot outlive this one, even when this one is killed with -9: a small shell holds the reading
/// end of a pipe and ends the child when the pipe closes.
final class GuardedProcess: Sendable {
    /// Waits for the end of file on descriptor 3, then asks the child to end, and after 60 s makes it. The watcher runs no
    /// long-lived program: it would keep open what tells Foundation that the shell has ended.
    private static let script = """
        exec 3<&0
        "$@" </dev/null &
        child=$!
        (
            read -r line <&3
            kill -TERM $child
            seconds=0
            while [ $seconds -lt 60 ] && kill -0 $child; do
                sleep 1
                seconds=$((seconds + 1))
            done
            kill -KILL $child
        ) >/dev/null 2>&1 &
        watcher=$!
        exec 3<&-
        trap '' INT TERM HUP
        wait $child
        status=$?
        kill $watcher 2>/dev/null
        exit $status
        """

    private struct State {
        var status: Int32?
        var waiters: [CheckedContinuation<Int32, Never>] = []
    }
    private let lifeline: FileHandle
    private let state: Outcome

    /// How the child ended, shared with the handler that learns of it.
    private final class Outcome: Sendable {
        let state = Mutex(State())

        func set(_ status: Int32) {
            let waiters = state.withLock { state in
                state.status = status
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.resume(returning: status) }
        }
    }

    /// Starts `executable`; its output goes to `log`, which is appended to. Throws `.io`.
    init(_ executable: URL, _ arguments: [String], log: URL) throws {
        let child = Process()
        let pipe = Pipe()
        _ = fcntl(pipe.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
        if !FileManager.default.fileExists(atPath: log.path) {
            _ = FileManager.default.createFile(atPath: log.path, contents: nil, attributes: [.posixPermissions: 0o600])
        }
        child.executableURL = URL(fileURLWithPath: "/bin/sh")
        child.arguments = ["-c", Self.script, "mongod-guard", executable.path] + arguments
        child.standardInput = pipe.fileHandleForReading
        let outcome = Outcome()
        child.terminationHandler = { outcome.set($0.terminationStatus) }
        do {
            let output = try FileHandle(forWritingTo: log)
            try output.seekToEnd()
            child.standardOutput = output
            child.standardError = output
            try Self.withoutBlockedSignals { try child.run() }
            try output.close()
        } catch {
            throw BrimError(.io, "cannot start \(executable.path): \(error)")
        }
        try? pipe.fileHandleForReading.close()
        lifeline = pipe.fileHandleForWriting
        state = outcome
    }

    /// A child inherits the signals that the starting thread blocks, and threads of Dispatch block all of them: the shell
    /// would never learn that its own child has ended.
    private static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
        var (none, before) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try body()
    }

    /// nil while the child runs.
    var exitStatus: Int32? { state.state.withLock { $0.status } }

    /// Returns the exit status once the child has ended.
    func wait() async -> Int32 {
        await withCheckedContinuation { continuation in
            let status = state.state.withLock { state in
                if state.status == nil { state.waiters.append(continuation) }
                return state.status
            }
            if let status { continuation.resume(returning: status) }
        }
    }

    /// Asks the child to end; `wait` tells when it has.
    func terminate() {
        try? lifeline.close()
    }
}
