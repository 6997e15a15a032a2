import BrimClient
import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import NIOCore
import Synchronization

/// Clients that write, read, rename and remove without end, and note down what they asked and what was answered.
struct Workload: Sendable {
    /// Each with its own order of masters.
    let clients: [BrimClient]
    /// Reads from slaves when no master answers.
    let offline: BrimClient
    let history: History
    let seed: UInt64
    let scratch: URL

    /// Works until the task is cancelled; every request that was begun is noted.
    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<(clients.count * 2) {
                group.addTask {
                    var random = SeededRandom(seed: seed &* 1_000_003 &+ UInt64(number))
                    while !Task.isCancelled {
                        // A task of its own: a request that is broken off would tell nothing.
                        let (choice, client) = (random.next(), clients[number % clients.count])
                        await Task { await step(number, client, SeededRandom(seed: choice)) }.value
                        try? await Task.sleep(for: .milliseconds(Int.random(in: 10...150, using: &random)))
                    }
                }
            }
            group.addTask {
                var random = SeededRandom(seed: seed &+ 99)
                while !Task.isCancelled {
                    await readOffline(&random)
                    try? await Task.sleep(for: .milliseconds(500))
                }
            }
        }
    }

    private func step(_ number: Int, _ client: BrimClient, _ random: SeededRandom) async {
        var random = random
        let group = history.pick(&random)
        let path = Int.random(in: 0..<History.pathsPerGroup, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<40: await perform(.put(path, history.newValue(for: group)), number, client, group)
        case 40..<70: await perform(.get(path), number, client, group)
        case 70..<85: await perform(.remove(path), number, client, group)
        default:
            let other = (path + Int.random(in: 1..<History.pathsPerGroup, using: &random)) % History.pathsPerGroup
            await perform(.rename(path, other), number, client, group)
        }
    }

    /// Asks, and notes the outcome. A read that failed says nothing and is not noted: false.
    @discardableResult
    func perform(_ action: Operation.Action, _ number: Int, _ client: BrimClient, _ group: Int) async -> Bool {
        let began = history.now()
        let outcome: Operation.Outcome
        do {
            outcome = try await ask(action, client, group)
        } catch let error as BrimError where error.code == .notFound {
            switch action {
            case .get: outcome = .read(0)
            case .remove, .rename: outcome = .nothingThere
            case .put: outcome = .unknown
            }
        } catch {
            if case .get = action { return false }
            outcome = .unknown
        }
        history.record(
            group,
            Operation(client: number, action: action, outcome: outcome, began: began, ended: history.now()))
        return true
    }

    private func ask(_ action: Operation.Action, _ client: BrimClient, _ group: Int) async throws -> Operation.Outcome {
        switch action {
        case .put(let path, let value):
            let source = BytesSource(ByteBuffer(bytes: history.bytes(of: value)))
            try await client.put(source, to: try History.path(group, path))
            return .done
        case .get(let path):
            return .read(history.read(try await download(client, group, path).bytes, group: group, path: path))
        case .remove(let path):
            _ = try await client.remove(try History.path(group, path))
            return .done
        case .rename(let from, let to):
            _ = try await client.rename(try History.path(group, from), to: try History.path(group, to))
            return .done
        }
    }

    private func download(
        _ client: BrimClient, _ group: Int, _ path: Int
    ) async throws -> (bytes: Data, stat: FileStat) {
        let file = scratch.appending(path: "read-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        let stat = try await client.getFile(try History.path(group, path), to: file.path)
        return (try Data(contentsOf: file), stat)
    }

    private func readOffline(_ random: inout SeededRandom) async {
        guard let group = history.groups.suffix(12).randomElement(using: &random) else { return }
        let path = Int.random(in: 0..<History.pathsPerGroup, using: &random)
        guard let (bytes, stat) = try? await download(offline, group, path), stat.age != nil else { return }
        history.recordStale(bytes, group: group, path: path)
    }

    // MARK: - The end

    /// Reads every path of every group, as operations after all others. What cannot be read when all is whole is lost.
    ///
    /// - Parameter patience: how long all of them together are asked for again.
    func readEverything(patience: Duration) async throws {
        let deadline = ContinuousClock.now + patience
        for group in history.groups {
            for path in 0..<History.pathsPerGroup {
                while await !perform(.get(path), -1, clients[0], group) {
                    guard ContinuousClock.now < deadline else {
                        history.recordUnreadable(group: group, path: path)
                        break
                    }
                    try await Task.sleep(for: .milliseconds(200))
                }
            }
        }
    }
}
