import ArgumentParser
import BrimClient
import Logging

/// A command of `brim`.
protocol BrimCommand: AsyncParsableCommand, Sendable {
    var global: GlobalOptions { get }
    /// The level of messages logged when none is asked for.
    var usualLogLevel: Logger.Level { get }
    /// Runs the command, and ends it on SIGINT and SIGTERM.
    func runUntilInterrupted() async throws
}

extension BrimCommand {
    var usualLogLevel: Logger.Level { .warning }

    func runUntilInterrupted() async throws {
        try await Interruption.watch {
            var command = self
            try await command.run()
        }
    }
}

/// A command that asks a swarm.
protocol ClientCommand: BrimCommand {
    var connection: ConnectionOptions { get }
    /// Whether it is of use with what slaves knew last, while no master answers: not where something is changed by it.
    static var readsOffline: Bool { get }
    func run(_ client: BrimClient) async throws
}

extension ClientCommand {
    static var readsOffline: Bool { false }

    func run() async throws {
        let client = try await connection.connect(readsOffline: Self.readsOffline)
        do {
            try await run(client)
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }
}
