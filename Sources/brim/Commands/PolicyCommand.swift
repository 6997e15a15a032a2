import ArgumentParser
import BrimClient
import BrimModel
import BrimWire
import Foundation

/// `brim policy show|load|test|apply`
struct PolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy",
        abstract: "Show, change, test and apply what decides how many copies files should have.",
        discussion: """
            A file's n is what somebody set for it, else what a directory above it has, else what the first of the swarm's \
            rules says that applies to it, else what the policy program of a master says, else the swarm's default.
            """,
        subcommands: [Show.self, Load.self, Test.self, Apply.self])

    /// `brim policy show`
    struct Show: ClientCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract: "Print the rules as they are in force.",
            discussion: """
                  brim policy show
                  brim policy show > rules.yaml     # to change them, see 'brim policy load'
                """)

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var global: GlobalOptions

        func run(_ client: BrimClient) async throws {
            let policy = try await client.policy()
            if global.json { return try Console.printJSON(policy) }
            for warning in policy.warnings { Console.writeError("brim: \(Console.shown(warning))\n") }
            for line in PolicyCommand.comments(on: policy) { print("# \(Console.shown(line))") }
            print(policy.text, terminator: policy.text.isEmpty || policy.text.hasSuffix("\n") ? "" : "\n")
        }
    }

    /// `brim policy load FILE`
    struct Load: ClientCommand {
        static let configuration = CommandConfiguration(
            commandName: "load",
            abstract: "Replace the rules by those in a file.",
            discussion: """
                Masters follow within two seconds. New files, and those whose attributes change, have their n by the new \
                rules from then on, all others when you apply them. Rules with a mistake are refused with its line and \
                column, and the old ones stay in force.

                  brim policy load rules.yaml
                  brim policy load --if-revision 7 rules.yaml     # unless somebody else has changed them since
                  brim policy apply
                """)

        @Argument(help: "A file of rules in YAML; - is standard input.")
        var file: String

        @Option(help: ArgumentHelp("Only if the rules are at this revision.", valueName: "number"))
        var ifRevision: Int64?

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var global: GlobalOptions

        func run(_ client: BrimClient) async throws {
            let text = try PolicyCommand.text(of: file)
            let policy = try await client.changePolicy(text, ifRevision: ifRevision)
            if global.json { return try Console.printJSON(policy) }
            print("\(counted(policy.rules.count, "rule")), revision \(policy.revision)")
        }
    }

    /// `brim policy test PATH…`
    struct Test: ClientCommand {
        static let configuration = CommandConfiguration(
            commandName: "test",
            abstract: "Tell which n files would have, by which rule and why; nothing is changed.",
            discussion: """
                  brim policy test /music/song.mp3
                  brim policy test --rules new.yaml --verbose /music/song.mp3     # rules that are not in force
                """)

        @Argument(
            help: ArgumentHelp("Files in the swarm.", valueName: "remote"),
            transform: { try RemotePath(parsing: $0) })
        var paths: [RemotePath]

        @Option(help: ArgumentHelp("Try the rules in this file instead of the swarm's.", valueName: "file"))
        var rules: String?

        @Flag(help: "Tell what each rule says.")
        var verbose = false

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var global: GlobalOptions

        func run(_ client: BrimClient) async throws {
            let text = try rules.map(PolicyCommand.text)
            let reply = try await client.testPolicy(paths.map(\.path), rules: text)
            if global.json { try Console.printJSON(reply.files) } else { reply.files.forEach(tell) }
            if let error = reply.files.lazy.compactMap(\.error).first {
                throw reply.files.count == 1
                    ? error : BrimError(error.code, "not all of these files could be looked at: \(error.message)")
            }
        }

        private func tell(_ file: PolicyTestReply.Item) {
            let path = Console.shown(file.path)
            guard let wanted = file.wanted, let rule = file.rule, let n = file.n else {
                return print("\(path): \(Console.shown(file.error?.message ?? "nothing is known"))")
            }
            let change = wanted == n ? "n = \(n)" : "n = \(wanted) instead of \(n)"
            print("\(path): \(change), by \(Console.shown(rule)): \(Console.shown(file.why ?? ""))")
            guard verbose else { return }
            for verdict in file.rules ?? [] {
                print("  \(Console.shown(verdict.rule)): \(Console.shown(verdict.says))")
            }
        }
    }

    /// `brim policy apply`
    struct Apply: ClientCommand {
        static let configuration = CommandConfiguration(
            commandName: "apply",
            abstract: "Give all files the n that policies say now.",
            discussion: """
                Goes through all files and shows how far it is. The masters do the work: it goes on when this command is \
                interrupted, and when the leading master dies.

                  brim policy apply
                  brim policy apply --background
                """)

        @Flag(help: "Return as soon as it has begun.")
        var background = false

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var global: GlobalOptions

        private static let interval = Duration.milliseconds(500)

        func run(_ client: BrimClient) async throws {
            var pass = try await client.applyPolicy()
            let number = pass.number
            while !background, pass.finished == nil {
                try await Task.sleep(for: Self.interval)
                // Only what belongs to this pass is its end.
                guard let present = try await client.policy().pass, present.number == number else {
                    throw BrimError(
                        .conflict, "another pass over all files has begun since",
                        advice: "See 'brim policy show --json' for how far that is", retryable: false)
                }
                pass = present
                if Console.errorIsTerminal { Console.writeError("\r\(line(pass))\u{1B}[K") }
            }
            if Console.errorIsTerminal, !background { Console.writeError("\r\u{1B}[K") }
            if global.json { return try Console.printJSON(pass) }
            print(line(pass))
        }

        private func line(_ pass: PolicyPassReply) -> String {
            let changed = "\(counted(pass.changed, "file")) with another n"
            if pass.finished != nil { return "\(counted(pass.files, "file")) looked at, \(changed)" }
            let total = pass.total.map { " of \($0)" } ?? ""
            return "\(pass.files)\(total) files looked at, \(changed)"
        }
    }

    /// Throws `.io`, `.tooLarge`.
    private static func text(of file: String) throws -> String {
        let data: Data?
        if file == "-" {
            data = try FileHandle.standardInput.readToEnd() ?? Data()
        } else {
            data = FileManager.default.contents(atPath: file)
        }
        guard let data else { throw BrimError(.notFound, "'\(file)' cannot be read", advice: "Name a file of rules") }
        guard let text = String(data: data, encoding: .utf8) else {
            throw BrimError(.invalid, "'\(file)' is not UTF-8", advice: "Rules are written in YAML")
        }
        return text
    }

    private static func comments(on policy: PolicyReply) -> [String] {
        var lines = [
            "revision \(policy.revision)" + (policy.changed.map { ", of \($0)" } ?? ": there are no rules yet")
        ]
        if let program = policy.program { lines.append("then asked: \(program)") }
        lines.append("n where nothing applies: \(policy.copies)")
        if let pass = policy.pass {
            let done = pass.finished.map { "applied to all files by \($0)" } ?? "being applied to all files"
            lines.append("\(done): \(counted(pass.files, "file")) looked at, \(pass.changed) with another n")
        }
        return lines
    }
}
