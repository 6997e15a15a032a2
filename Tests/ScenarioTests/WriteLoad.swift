import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Synchronization
import Testing

/// Writers that write new files without end, each as fast as it may, whatever breaks meanwhile.
///
/// Each attempt to write a file has other bytes than those before it: one that failed and was entered all the same, later
/// than the one that was acknowledged, would be found.
final class WriteLoad: Sendable {
    private struct State {
        var contents: [String: Data] = [:]
        var versions: [String: Int64] = [:]
        var failures: [BrimError.Code: Int] = [:]
        var isOver = false
        /// When a write was acknowledged last.
        var last = ContinuousClock.now
        var gap = Duration.zero
    }
    private let swarm: Swarm
    private let writers: Int
    private let pause: Duration
    private let state = Mutex(State())

    /// - Parameter pause: of each writer between two files.
    init(_ swarm: Swarm, writers: Int, pause: Duration = .milliseconds(250)) {
        self.swarm = swarm
        self.writers = writers
        self.pause = pause
    }

    /// What was acknowledged.
    var contents: [String: Data] { state.withLock { $0.contents } }
    /// How often which error was met.
    var failures: [BrimError.Code: Int] { state.withLock { $0.failures } }

    /// Writes while `body` runs. Throws when a file could not be written for `longest`.
    func run(longest: Duration, _ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<writers {
                group.addTask {
                    do {
                        try await self.write(number, longest: longest)
                    } catch {
                        // Else it would be known only when the others have been waited for.
                        if !Task.isCancelled { Issue.record("a writer gave up: \(error)") }
                        throw error
                    }
                }
            }
            defer { state.withLock { $0.isOver = true } }
            do {
                try await body()
            } catch {
                group.cancelAll()
                throw error
            }
            state.withLock { $0.isOver = true }
            try await group.waitForAll()
        }
    }

    private func write(_ writer: Int, longest: Duration) async throws {
        var number = 0
        while !state.withLock({ $0.isOver }) {
            number += 1
            let path = "/w\(writer)-\(number)"
            let begun = ContinuousClock.now
            var attempt = 0
            while true {
                attempt += 1
                let data = Data.random(count: 3000, seed: UInt64(writer * 100_000_000 + number * 1000 + attempt))
                do {
                    note(path, data, try await swarm.upload(data, to: path))
                    break
                } catch let error as BrimError {
                    state.withLock { $0.failures[error.code, default: 0] += 1 }
                    guard error.retryable, ContinuousClock.now - begun < longest else {
                        throw SwarmFailure("\(path) failed for \(ContinuousClock.now - begun): \(error)")
                    }
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            try await Task.sleep(for: pause)
        }
    }

    private func note(_ path: String, _ data: Data, _ reply: WriteReply) {
        state.withLock { state in
            state.contents[path] = data
            state.versions[path] = reply.version
            let now = ContinuousClock.now
            (state.gap, state.last) = (max(state.gap, now - state.last), now)
        }
    }

    /// Waits until so many more files were acknowledged.
    func written(_ count: Int) async throws {
        let before = state.withLock { $0.contents.count }
        try await swarm.waitFor("\(count) more files written") {
            state.withLock { $0.contents.count } >= before + count
        }
    }

    /// The longest time between two acknowledged writes since this was asked last.
    func takeLongestGap() -> Duration {
        state.withLock { state in
            defer { state.gap = .zero }
            return state.gap
        }
    }

    /// Every acknowledged write is there as it was acknowledged, byte for byte, and nothing was entered after it. Reads all
    /// of them with one command.
    func verify() async throws {
        let (contents, versions) = state.withLock { ($0.contents, $0.versions) }
        let copy = swarm.scratch.appending(path: "copy-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: copy) }
        let result = try await swarm.cli(["get", "-r", "/", copy.path], within: .seconds(300))
        guard result.status == 0 else { throw SwarmFailure("\(result)") }
        for (path, data) in contents {
            let read = try? Data(contentsOf: copy.appending(path: String(path.dropFirst())))
            #expect(read == data, "\(path) does not read as it was acknowledged")
        }
        let files = try await swarm.files()
        for (path, version) in versions {
            #expect(files[path]?.version == version, "\(path) was written again after it was acknowledged")
        }
        // One that was not acknowledged is there whole, or not at all.
        let more = Set(files.keys).subtracting(contents.keys)
        #expect(more.isEmpty, "a writer left off: \(more)")
    }
}
