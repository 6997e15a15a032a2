import ArgumentParser
import Logging

/// Options that every command has.
struct GlobalOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "Log messages of at least this level on stderr.",
            valueName: "level"))
    var logLevel: Logger.Level?

    @Flag(help: "Answer in JSON, errors (on stderr) included.")
    var json = false
}

extension Logger.Level: @retroactive ExpressibleByArgument {}
