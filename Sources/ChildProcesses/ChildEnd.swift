import CLinux
import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Learns how a child ended and tells those who wait for that, without a thread of its own.
final class ChildEnd: Sendable {
    private struct State {
        /// While it is nil the number is the child's: the kernel gives it away only after it was told how the child ended.
        var exit: ChildProcess.Exit?
        var waiters: [CheckedContinuation<ChildProcess.Exit, Never>] = []
    }

    private let pid: Int32
    private let state = Mutex(State())

    /// Throws `.io`; the child is gone then.
    init(of pid: Int32) throws {
        self.pid = pid
        let descriptor: Int32
        do {
            descriptor = try ChildProcess.check("watch a child process", brim_watch_child(pid))
        } catch {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
            throw error
        }
        let source = DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: .global())
        // The source is kept by its own handler until it is cancelled.
        source.setEventHandler { [self] in
            if exit != nil { source.cancel() }
        }
        source.setCancelHandler { close(descriptor) }
        source.activate()
    }

    /// nil while the child runs.
    var exit: ChildProcess.Exit? {
        let now = state.withLock { state in
            if state.exit == nil { state.exit = takeExit() }
            defer { if state.exit != nil { state.waiters = [] } }
            return state
        }
        guard let exit = now.exit else { return nil }
        for waiter in now.waiters { waiter.resume(returning: exit) }
        return exit
    }

    private func takeExit() -> ChildProcess.Exit? {
        var status: Int32 = 0
        switch waitpid(pid, &status, WNOHANG) {
        case pid: return status & 0x7f == 0 ? .status(status >> 8 & 0xff) : .signal(status & 0x7f)
        // This process was started with SIGCHLD ignored, so that nobody knows.
        case -1 where errno == ECHILD: return .status(255)
        default: return nil
        }
    }

    func wait() async -> ChildProcess.Exit {
        await withCheckedContinuation { continuation in
            let exit = state.withLock { state in
                if state.exit == nil { state.waiters.append(continuation) }
                return state.exit
            }
            if let exit { continuation.resume(returning: exit) }
        }
    }

    func send(_ signal: Int32) {
        state.withLock { state in
            if state.exit == nil { kill(pid, signal) }
        }
    }
}
