import ArgumentParser
import Foundation
import Logging

/// Options that every command has.
struct GlobalOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "Log messages of at least this level on stderr. BRIM_LOG_LEVEL.",
            valueName: "level"))
    var logLevel: Logger.Level?

    /// The level asked for by the flag or by `BRIM_LOG_LEVEL`.
    var level: Logger.Level? {
        logLevel ?? ProcessInfo.processInfo.environment["BRIM_LOG_LEVEL"].flatMap { Logger.Level(rawValue: $0) }
    }

    @Flag(help: "Answer in JSON, errors (on stderr) included.")
    var json = false
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
