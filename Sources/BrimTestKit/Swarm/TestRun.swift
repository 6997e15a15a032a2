import ChildProcesses
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Something that went wrong with a swarm under test, told so that the log of the test is enough to understand it.
public struct SwarmFailure: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}

/// What all swarms of one test process share: a directory below the temporary one, the `brim` under test, and a guard
/// that ends every process and removes the directory, mounts below it and network namespaces when this process ends, for whatever reason.
///
/// The guard is a shell that reads a pipe of which only this process holds the other end. It knows its processes by
/// `BRIM_TEST_RUN` in their environment, which children of children (a master's mongod) inherit. Needs Linux (`/proc`).
public final class TestRun: Sendable {
    /// The name of the variable that marks every process of a run; its value is the run's directory.
    static let marker = "BRIM_TEST_RUN"

    private static let start = Result { try TestRun() }

    /// The one run of this process, begun at the first call.
    public static func shared() throws -> TestRun { try start.get() }

    /// Holds a directory for each swarm. `BRIM_TEST_KEEP=1` leaves it behind, for a look at the logs.
    public let directory: URL
    /// The executable under test: `BRIM_EXECUTABLE`, else the one that was built with the tests.
    public let brim: URL

    /// Held by its leash.
    private let guardian: ChildProcess
    private let swarms = Mutex(0)

    private init() throws {
        brim = try Self.findExecutable()
        directory = FileManager.default.temporaryDirectory
            .appending(path: "brim-test-\(getpid())-\(String(UInt32.random(in: 0...UInt32.max), radix: 36))")
        try FileManager.default.createDirectory(
            at: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        guardian = try Self.startGuard(of: directory)
    }

    /// A fresh directory for one swarm.
    func swarmDirectory() throws -> URL {
        let number = swarms.withLock { count in
            count += 1
            return count
        }
        let directory = directory.appending(path: "swarm-\(number)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        return directory
    }

    /// What the names of this run's network namespaces begin with.
    var namespacePrefix: String { "\(directory.lastPathComponent)." }

    static var keepsDirectories: Bool { ProcessInfo.processInfo.environment["BRIM_TEST_KEEP"] == "1" }

    private static func findExecutable() throws -> URL {
        if let path = ProcessInfo.processInfo.environment["BRIM_EXECUTABLE"], !path.isEmpty {
            return URL(filePath: path)
        }
        let running = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let candidates = ([running].compactMap { $0 } + CommandLine.arguments).flatMap { path in
            // The tests are a file beside the product, or a bundle that holds one.
            (1...4).map { levels in
                (0..<levels).reduce(URL(filePath: path)) { url, _ in url.deletingLastPathComponent() }
                    .appending(path: "brim")
            }
        }
        let found = candidates.first { url in
            var isDirectory: ObjCBool = false
            return FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) && !isDirectory.boolValue
                && FileManager.default.isExecutableFile(atPath: url.path)
        }
        guard let found else {
            throw SwarmFailure("no 'brim' beside the tests: build it with swift build --product brim")
        }
        return found
    }

    // MARK: - The guard

    private static let guardScript = """
        directory=$1 keep=$2
        exec 3<&0 </dev/null
        trap '' INT TERM HUP
        read -r word <&3
        tries=0 found=1
        while [ "$found" ] && [ $tries -lt 100 ]; do
            found=
            for process in /proc/[0-9]*; do
                if grep -qaF -- "\(marker)=$directory" "$process/environ"; then
                    kill -KILL "${process#/proc/}" && found=1
                fi
            done
            tries=$((tries + 1))
            [ "$found" ] && sleep 0.1
        done
        grep -F " $directory/" /proc/mounts | cut -d' ' -f2 | sort -r | while read -r place; do umount -l "$place"; done
        for space in /run/netns/"${directory##*/}".*; do [ -e "$space" ] && ip netns del "${space##*/}"; done
        [ "$keep" = 1 ] || rm -rf "$directory"
        """

    private static func startGuard(of directory: URL) throws -> ChildProcess {
        try ChildProcess(
            URL(filePath: "/bin/sh"),
            ["-c", guardScript, "brim-test-guard", directory.path, keepsDirectories ? "1" : "0"],
            input: .leash, output: .discarded, error: .discarded)
    }
}
