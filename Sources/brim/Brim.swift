import ArgumentParser
import BrimModel
import Foundation

/// The `brim` command: reads the arguments, runs the command they name, and turns its outcome into an exit status.
@main
struct Brim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "brim",
        abstract: "BrimFS: a distributed file system that fills every disk to the brim with spare copies.",
        discussion: """
            Try a whole swarm on this machine:

              brim up                       (prints the two variables to export)
              brim put -r ~/Music /music
              brim status

            Every command but the daemons finds the swarm with --master or BRIM_MASTER and takes its password from \
            BRIM_PASSWORD, or from the file that --password-file or BRIM_PASSWORD_FILE names. All settings can be \
            given as flags, as BRIM_* variables, or in a YAML file (--config FILE, ~/.config/brim/brim.yaml, \
            /etc/brim/brim.yaml) whose keys are the flags' names.

            Exit status: 0 done, 1 failed, 2 wrong usage.
            """,
        version: BuildInfo.version,
        groupedSubcommands: [
            CommandGroup(
                name: "Files",
                subcommands: [
                    PutCommand.self, GetCommand.self, CatCommand.self, LsCommand.self, StatCommand.self,
                    MkdirCommand.self, MvCommand.self, RmCommand.self, DuCommand.self, WhereCommand.self,
                    SetCommand.self, VersionsCommand.self, RestoreCommand.self, UndeleteCommand.self,
                    PurgeCommand.self,
                ]),
            CommandGroup(
                name: "The swarm",
                subcommands: [
                    StatusCommand.self, ServersCommand.self, ServerCommand.self, DfCommand.self, TokenCommand.self,
                    VerifyCommand.self, WhyCommand.self, WorkersCommand.self, SettingsCommand.self, BackupCommand.self,
                    RecoverCommand.self, DrillCommand.self, PolicyCommand.self, PlanCommand.self,
                ]),
            CommandGroup(
                name: "Daemons",
                subcommands: [UpCommand.self, MasterCommand.self, SlaveCommand.self, MongodCommand.self]),
        ])

    static func main() async {
        var wantsJSON = CommandLine.arguments.contains("--json")
        do {
            try requireUTF8Arguments()
            var parsed = try await asyncParseAsRoot()
            if let command = parsed as? any BrimCommand {
                wantsJSON = command.global.json
                StderrLog.bootstrap(level: command.global.level ?? command.usualLogLevel)
                try await command.runUntilInterrupted()
            } else if var command = parsed as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try parsed.run()
            }
            Console.flush()
        } catch {
            Console.flush()
            Foundation.exit(ErrorReport(error).print(asJSON: wantsJSON))
        }
    }
}

extension Brim {
    /// Swift would read another name into bytes that are not UTF-8; a command must not touch what was not meant.
    private static func requireUTF8Arguments() throws {
        for index in 1..<max(1, Int(CommandLine.argc)) {
            guard let bytes = CommandLine.unsafeArgv[index], String(validatingCString: bytes) == nil else { continue }
            let shown = String(cString: bytes)
            throw UsageError("The argument '\(shown)' is not valid UTF-8: names in the swarm are, so choose another.")
        }
    }
}

/// What this build is.
enum BuildInfo {
    static let version = "0.1.0"
}
