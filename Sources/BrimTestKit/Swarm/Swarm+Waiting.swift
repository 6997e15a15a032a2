import BrimModel
import BrimWire
import Foundation
import Synchronization

/// Thrown by a condition that can not come true any more.
struct Hopeless: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension Swarm {
    /// Asks again and again until the condition holds; a condition that throws does not hold yet.
    ///
    /// Throws ``SwarmFailure`` with the last error, the last status and the ends of all logs when `limit` has passed.
    public func waitFor(
        _ what: String, within limit: Duration = .seconds(90), _ condition: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + limit
        var last: (any Error)?
        var pause = Duration.milliseconds(20)
        while true {
            do {
                if try await condition() { return }
                last = nil
            } catch let error as Hopeless {
                throw SwarmFailure("waited for: \(what); \(error)\n\(await picture())")
            } catch let error as CancellationError {
                throw error
            } catch {
                last = error
            }
            guard ContinuousClock.now < deadline else {
                let reason = last.map { "; the last look failed: \($0)" } ?? ""
                throw SwarmFailure("waited \(limit) for: \(what)\(reason)\n\(await picture())")
            }
            try await Task.sleep(for: pause)
            pause = min(pause * 2, .milliseconds(200))
        }
    }

    /// Looks again and again whether something stays the same for `time`. Throws ``SwarmFailure`` with both values at
    /// the first change.
    public func hold<Value: Equatable>(_ what: String, for time: Duration, _ value: () async throws -> Value)
        async throws
    {
        let first = try await value()
        let deadline = ContinuousClock.now + time
        while ContinuousClock.now < deadline {
            let now = try await value()
            guard now == first else {
                throw SwarmFailure("\(what) changed from \(first) to \(now)\n\(await picture())")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Runs `body` while the status is polled, and throws when any poll showed a server that used more than its quota.
    public func holdingQuotas<Result: Sendable>(_ body: () async throws -> Result) async throws -> Result {
        state.withLock { $0.watchesQuotas = true }
        async let excess = firstExcess()
        let result = try await body()
        state.withLock { $0.watchesQuotas = false }
        if let excess = await excess { throw SwarmFailure(excess + "\n" + (await picture())) }
        return result
    }

    private func firstExcess() async -> String? {
        while state.withLock({ $0.watchesQuotas }), !Task.isCancelled {
            for server in (try? await status().servers) ?? [] where server.used > server.quota {
                return "\(server.name) used \(server.used) of a quota of \(server.quota) bytes"
            }
            try? await Task.sleep(for: .milliseconds(30))
        }
        return nil
    }

    // MARK: - Explaining

    /// An error together with the picture of the swarm, unless it has one already.
    func explained(_ error: any Error) async -> any Error {
        if error is CancellationError { return error }
        if let failure = error as? SwarmFailure, failure.description.contains(Self.pictureTitle) { return error }
        return SwarmFailure("\(error)\n\(await picture())")
    }

    private static let pictureTitle = "--- the swarm ---"

    /// The status and the ends of all daemons' logs, for messages.
    func picture() async -> String {
        var lines = [Self.pictureTitle]
        if masterPort != 0 {
            do {
                // In one line: of long messages not all is always shown, and the logs say more.
                let text = try BrimJSON.encoder().encode(try await status())
                lines.append("status: \(String(decoding: text, as: UTF8.self))")
            } catch {
                lines.append("no status: \(error)")
            }
        }
        for name in state.withLock({ $0.order }) {
            let exit = daemon(name)?.process.exit.map { "\($0)" } ?? "running"
            lines.append("--- log of \(name) (\(exit)) ---\n\(log(of: name).tail())")
        }
        return lines.joined(separator: "\n")
    }
}
