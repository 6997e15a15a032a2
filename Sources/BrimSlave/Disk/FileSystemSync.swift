import BrimModel
import CLinux
import Dispatch
import Foundation
import Synchronization

/// Makes everything that was written to the disk durable, for all who wait for that at once: one sync of the file system
/// in place of one or two for each small file. Who comes while one is under way shares the next.
final class FileSystemSync: Sendable {
    private struct State {
        var waiting: [CheckedContinuation<Void, any Error>] = []
        var isRunning = false
    }

    private let state = Mutex(State())
    private let health: DiskHealth
    private let syncNow: @Sendable () throws -> Void
    private let thread = DispatchQueue(label: "brim.sync")

    /// `syncNow` blocks until all is durable.
    init(health: DiskHealth, syncNow: @escaping @Sendable () throws -> Void) {
        self.health = health
        self.syncNow = syncNow
    }

    /// nil where the file system is not of a kind that is known to be made durable so. Blocks.
    convenience init?(directory: String, health: DiskHealth) {
        // Open since before anything was written, so that the kernel tells of all that could not be.
        guard let root = try? POSIX.open(directory, O_RDONLY | O_DIRECTORY),
            brim_can_sync_file_system(root.descriptor) != 0
        else { return nil }
        self.init(health: health) { try POSIX.syncFileSystem(root) }
    }

    /// Returns when all that was done before is durable. Throws `.io` and marks the disk as failing when something on it
    /// could not be written.
    func sync() async throws {
        try await withCheckedThrowingContinuation { continuation in
            let starts = state.withLock { state in
                state.waiting.append(continuation)
                defer { state.isRunning = true }
                return !state.isRunning
            }
            if starts { thread.async { self.run() } }
        }
    }

    /// How many wait for the next sync.
    var waiting: Int { state.withLock { $0.waiting.count } }

    private func run() {
        while true {
            let group = state.withLock { state in
                let group = state.waiting
                state.waiting = []
                state.isRunning = !group.isEmpty
                return group
            }
            if group.isEmpty { return }
            let result = Result { try syncWell() }
            for continuation in group { continuation.resume(with: result) }
        }
    }

    private func syncWell() throws {
        do {
            try syncNow()
        } catch {
            // Whatever it was, the kernel tells of it once only, and it may be the file of one who comes next.
            health.markFailing((error as? BrimError)?.message ?? "\(error)")
        }
        try health.check()
    }
}
