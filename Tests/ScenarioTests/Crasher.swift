import BrimTestKit
import Foundation
import Synchronization

/// Kills the processes of a swarm with a mongod of its own at random moments, and starts each again after a while. How
/// far they have come with their start by the next blow is left to chance.
struct Crasher: Sendable {
    static let mongod = "mongod"
    /// Writes that must have succeeded since the last round before the next one begins: on a machine that is slow enough
    /// nothing would ever be up for long enough otherwise.
    private static let writesBetweenRounds = 8

    let servers: [String]
    private var random: SeededRandom
    /// What was done, with the seconds since the beginning.
    private(set) var story: [String] = []
    private let begun = ContinuousClock.now

    init(_ servers: [String], seed: UInt64) {
        self.servers = servers
        random = SeededRandom(seed: seed &+ 7)
    }

    /// Kills all processes in turn, in a random order; again and again, until `mayStop` after a whole round.
    mutating func run(
        _ swarm: Swarm, writes: () -> Int, roundEnded: () -> Void, mayStop: () -> Bool
    ) async throws {
        repeat {
            var victims = ([Swarm.master, Self.mongod] + servers).shuffled(using: &random)
            while let first = victims.popLast() {
                try await pause(500...2500)
                var dead = [first]
                // Two at once, now and then.
                if Int.random(in: 0..<4, using: &random) == 0, let second = victims.popLast() { dead.append(second) }
                for name in dead { try await kill(name, swarm) }
                for name in dead where name != Self.mongod {
                    try await pause(0...1500)
                    note("\(name) started")
                    try swarm.relaunch(name)
                }
            }
            roundEnded()
            let before = writes()
            while writes() < before + Self.writesBetweenRounds, !mayStop() {
                try await Task.sleep(for: .milliseconds(50))
            }
        } while !mayStop()
    }

    private mutating func kill(_ name: String, _ swarm: Swarm) async throws {
        guard name == Self.mongod else {
            let process = try swarm.process(of: name)
            guard process.isRunning else {
                throw SwarmFailure("\(name) ended by itself: \(String(describing: process.exit))")
            }
            note("\(name) killed")
            return try await swarm.kill9(name)
        }
        note(try await swarm.endMongod(SIGKILL) ? "mongod killed" : "no mongod to kill")
    }

    private mutating func pause(_ milliseconds: ClosedRange<Int>) async throws {
        try await Task.sleep(for: .milliseconds(Int.random(in: milliseconds, using: &random)))
    }

    private mutating func note(_ what: String) {
        let seconds = Double((ContinuousClock.now - begun) / .milliseconds(100)) / 10
        story.append("\(seconds.rounded(.down)) s: \(what)")
    }
}
