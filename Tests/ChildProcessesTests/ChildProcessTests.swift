import BrimModel
import ChildProcesses
import Foundation
import Testing

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

@Suite(.timeLimit(.minutes(5))) struct ChildProcessTests {
    private let output = FileManager.default.temporaryDirectory.appending(path: "brim-child-\(UUID().uuidString)")

    private func shell(
        _ script: String, environment: [String: String] = [:], directory: URL? = nil,
        input: ChildProcess.Input = .nothing
    ) throws -> ChildProcess {
        try ChildProcess(
            URL(filePath: "/bin/sh"), ["-c", script], environment: environment, directory: directory, input: input,
            output: .appended(to: output), error: .appended(to: output))
    }

    /// What was written so far; the file is gone then.
    private func written() throws -> String {
        defer { try? FileManager.default.removeItem(at: output) }
        return try String(contentsOf: output, encoding: .utf8)
    }

    @Test func runsAsItIsTold() async throws {
        try Data("before\n".utf8).write(to: output)
        let child = try shell(
            "pwd; echo $A $HOME; echo error >&2", environment: ["A": "a=b"], directory: URL(filePath: "/usr"))
        #expect(await child.wait() == .status(0))
        #expect(try written() == "before\n/usr\na=b\nerror\n")

        let input = FileManager.default.temporaryDirectory.appending(path: "brim-child-\(UUID().uuidString)")
        try Data("from a file".utf8).write(to: input)
        defer { try? FileManager.default.removeItem(at: input) }
        #expect(await (try shell("cat", input: .file(input))).wait() == .status(0))
        #expect(try written() == "from a file")
    }

    @Test func hasOnlyItsThreeFilesAndNoSignalBlockedOrIgnored() async throws {
        // Not closed on exec.
        let other = open("/dev/null", O_RDONLY)
        defer { close(other) }
        let former = signal(SIGUSR2, SIG_IGN)
        defer { signal(SIGUSR2, former) }
        var (all, before) = (sigset_t(), sigset_t())
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        let child = Result {
            // A shell blocks signals around the start of another program: it reads its own status.
            try shell(
                """
                ls /proc/$$/fd
                while read -r name value; do [ "$name" != SigBlk: ] || echo "$value"; done </proc/$$/status
                kill -USR2 $$
                echo survived
                """)
        }
        pthread_sigmask(SIG_SETMASK, &before, nil)
        #expect(await (try child.get()).wait() == .signal(SIGUSR2))
        let found = try written()
        #expect(found == "0\n1\n2\n0000000000000000\n")
    }

    @Test func itsFilesAreNotKeptOpen() async throws {
        let child = try shell("cat", input: .leash)
        let own = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")
        }
        #expect(!own.isEmpty && !own.contains(output.path))
        child.releaseLeash()
        #expect(await child.wait() == .status(0))
        _ = try written()
    }

    @Test func tellsAllWhoWaitHowItEnded() async throws {
        let child = try shell("read line; exit 7", input: .leash)
        #expect(child.exit == nil)
        async let first = child.wait()
        let cancelled = Task { await child.wait() }
        cancelled.cancel()
        child.releaseLeash()
        #expect(await first == .status(7))
        #expect(await cancelled.value == .status(7))
        #expect(await child.wait() == .status(7))
        #expect(child.exit == .status(7))
        child.send(SIGKILL)

        let killed = try shell("exec sleep 1000")
        killed.send(SIGTERM)
        #expect(await killed.wait() == .signal(SIGTERM))
        _ = try written()
    }

    @Test func aLeashSaysOneThing() async throws {
        let child = try shell("cat", input: .leash)
        child.releaseLeash(saying: "keep\n")
        child.releaseLeash(saying: "more\n")
        #expect(await child.wait() == .status(0))
        #expect(try written() == "keep\n")
    }

    @Test func oneThatIsForgottenIsLetGoAndTakenCareOf() async throws {
        let pid = try shell("read line", input: .leash).pid
        let deadline = ContinuousClock.now + .seconds(60)
        while kill(pid, 0) == 0, ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(5)) }
        #expect(kill(pid, 0) == -1)
        _ = try written()
    }

    @Test func saysWhyItCannotStart() throws {
        for (program, directory) in [("/nonexistent", "/"), ("/bin/sh", "/nonexistent")] {
            let error = #expect(throws: BrimError.self) {
                try ChildProcess(
                    URL(filePath: program), [], directory: URL(filePath: directory), output: .discarded,
                    error: .discarded)
            }
            #expect(error?.code == .io)
            #expect(error?.message == "cannot start \(program): No such file or directory")
        }
        let error = #expect(throws: BrimError.self) {
            try ChildProcess(
                URL(filePath: "/bin/sh"), [], output: .appended(to: URL(filePath: "/nonexistent/x")), error: .discarded)
        }
        #expect(error?.message == "cannot open /nonexistent/x: No such file or directory")
    }
}
