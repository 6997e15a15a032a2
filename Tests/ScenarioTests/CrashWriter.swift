import BrimModel
import BrimTestKit
import Foundation

/// Writes into paths of its own until enough writes were acknowledged, whatever dies meanwhile, and knows what each path
/// may hold in the end.
///
/// Each attempt has other bytes than all before it: an attempt that failed and was entered all the same, later than one
/// that was acknowledged after it, would be found.
struct CrashWriter: Sendable {
    /// What has been written to one path.
    struct File: Sendable {
        /// Bytes of each attempt, in order.
        var sizes: [Int] = []
        /// The last attempt that was acknowledged, counted from 0.
        var acknowledged: Int?
    }

    private static let paths = 12
    /// Bytes of all its files together, both versions of one that is being overwritten included.
    private static let budget = 2_500_000
    private static let largest = 2_000_000
    private static let limit = Duration.seconds(600)

    let number: Int
    private let seed: UInt64
    private var random: SeededRandom
    private(set) var files: [String: File] = [:]
    private(set) var acknowledged = 0
    /// How often which error was met.
    private(set) var failures: [BrimError.Code: Int] = [:]
    private var lastFailure: BrimError?

    init(number: Int, seed: UInt64) {
        self.number = number
        self.seed = seed
        random = SeededRandom(seed: seed &* 31 &+ UInt64(number))
    }

    /// The bytes of an attempt.
    func data(_ path: String, _ attempt: Int) -> Data {
        let size = files[path].map { $0.sizes[attempt] } ?? 0
        let name = path.utf8.reduce(seed) { $0 &* 131 &+ UInt64($1) }
        return Data.random(count: size, seed: name &* 1009 &+ UInt64(attempt))
    }

    /// Makes `count` acknowledged writes, and more until `mayStop`.
    mutating func run(
        _ swarm: Swarm, count: Int, wrote: @Sendable () -> Void, mayStop: @Sendable () -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + Self.limit
        while acknowledged < count || !mayStop() {
            try await Task.sleep(for: .milliseconds(Int.random(in: 0...400, using: &random)))
            while try await !attempt(swarm) {
                guard ContinuousClock.now < deadline else {
                    throw SwarmFailure(
                        "writer \(number): \(acknowledged) of \(count) writes in \(Self.limit), errors \(failures), "
                            + "the last one: \(lastFailure.map { "\($0)" } ?? "none")")
                }
                try await Task.sleep(for: .milliseconds(Int.random(in: 100...500, using: &random)))
            }
            acknowledged += 1
            wrote()
        }
    }

    /// Whether it was acknowledged.
    private mutating func attempt(_ swarm: Swarm) async throws -> Bool {
        // A file without bytes always fits, and makes room of what it replaces.
        let isFull = lastFailure?.code == .full
        let path = isFull ? largestPath : "/w\(number)-\(Int.random(in: 0..<Self.paths, using: &random))"
        let attempt = files[path]?.sizes.count ?? 0
        files[path, default: File()].sizes.append(isFull ? 0 : size())
        do {
            try await swarm.upload(data(path, attempt), to: path)
            files[path]?.acknowledged = attempt
            lastFailure = nil
            return true
        } catch let error as BrimError {
            failures[error.code, default: 0] += 1
            lastFailure = error
            return false
        }
    }

    /// The most that a path may hold now.
    private func weight(_ file: File) -> Int { file.sizes[(file.acknowledged ?? 0)...].max() ?? 0 }

    private var largestPath: String {
        files.max { weight($0.value) < weight($1.value) }?.key ?? "/w\(number)-0"
    }

    /// Nothing, some bytes, or as much as is left; often nearly all that is left.
    private mutating func size() -> Int {
        let room = max(0, min(Self.largest, Self.budget - files.values.reduce(0) { $0 + weight($1) }))
        switch Int.random(in: 0..<10, using: &random) {
        case 0: return 0
        case 1..<4: return min(room, Int.random(in: 1...1000, using: &random))
        case 4..<7: return min(room, Int.random(in: 1000...100_000, using: &random))
        default: return Int.random(in: 0...room, using: &random)
        }
    }
}
