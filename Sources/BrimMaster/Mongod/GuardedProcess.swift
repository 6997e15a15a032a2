import ChildProcesses
import Foundation

/// A child process that cannot outlive this one, even when this one is killed with -9: a small shell holds the reading
/// end of a pipe and ends the child when the pipe closes.
final class GuardedProcess: Sendable {
    /// Waits for the end of file on descriptor 3, then asks the child to end, and after 60 s makes it.
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

    private let shell: ChildProcess

    /// Starts `executable`; its output goes to `log`, which is appended to. Throws `.io`.
    init(_ executable: URL, _ arguments: [String], log: URL) throws {
        shell = try ChildProcess(
            URL(filePath: "/bin/sh"), ["-c", Self.script, "mongod-guard", executable.path] + arguments,
            input: .leash, output: .appended(to: log), error: .appended(to: log))
    }

    /// nil while the child runs.
    var exitStatus: Int32? { shell.exit.map(Self.status) }

    /// Returns the exit status once the child has ended.
    func wait() async -> Int32 { Self.status(await shell.wait()) }

    /// Asks the child to end; `wait` tells when it has.
    func terminate() { shell.releaseLeash() }

    /// As shells number it.
    private static func status(_ exit: ChildProcess.Exit) -> Int32 {
        switch exit {
        case .status(let status): status
        case .signal(let signal): 128 + signal
        }
    }
}
