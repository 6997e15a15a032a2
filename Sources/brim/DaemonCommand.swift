import ArgumentParser
import CLinux
import Logging
import ServiceLifecycle
import UnixSignals

/// A command that serves until SIGINT or SIGTERM.
protocol DaemonCommand: BrimCommand {}

extension DaemonCommand {
    var usualLogLevel: Logger.Level { .info }

    /// Services end in order on a signal by themselves.
    func runUntilInterrupted() async throws {
        brim_limit_arenas(2)
        var command = self
        try await command.run()
    }

    /// Runs services until a signal, then shuts them down in reverse.
    func serve(_ services: [any Service], logger: Logger) async throws {
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map {
                    ServiceGroupConfiguration.ServiceConfiguration(
                        service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .gracefullyShutdownGroup)
                },
                gracefulShutdownSignals: [.sigint, .sigterm], logger: logger))
        try await group.run()
    }
}
