import ArgumentParser
import BrimClient
import BrimModel

/// `brim drill`
struct DrillCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "drill",
        abstract: "Show that lost metadata could be rebuilt: compare a sample of it with what the servers know.",
        discussion: """
            Takes up to 1000 entries from a random place, asks all servers that are up what they would tell 'brim recover' of \
            them, and compares. The leading master does it by itself, too: see --drill-every of 'brim master'.

              brim drill
              brim drill --json | jq .differences

            Exit status 1 if something differs.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let report = try await client.drill()
        if global.json { try Console.printJSON(report) } else { tell(report) }
        guard report.differing == 0 else {
            throw BrimError(
                .conflict, "\(counted(report.differing, "difference")) between MongoDB and the servers",
                advice: "See 'When the rebuild drill finds a difference' in docs/operations.md", retryable: false)
        }
    }

    private func tell(_ report: DrillReport) {
        for difference in report.differences {
            print("\(Console.shown(difference.path)): \(difference.kind.rawValue)")
            print("  MongoDB: \(Console.shown(difference.mongodb))")
            for slave in difference.slaves { print("  \(slave.server): \(Console.shown(slave.says))") }
        }
        if report.differing > report.differences.count {
            print("and \(report.differing - report.differences.count) more")
        }
        func note(_ servers: [ServerName], _ what: String) {
            if !servers.isEmpty { print("\(servers.map(\.rawValue).joined(separator: ", ")): \(what)") }
        }
        note(report.silent, "did not answer")
        note(report.behind, "no copy of the namespace that is up to date: only copies of files were compared")
        if report.changing > 0 { print("\(counted(report.changing, "entry", "entries")) changed all the time") }
        let seconds = (report.seconds * 10).rounded() / 10
        print(
            "\(counted(report.entries, "entry", "entries")) and \(counted(report.copies, "copy", "copies")) compared with "
                + "\(counted(report.servers, "server")) in \(seconds) s: "
                + (report.differing == 0 ? "as on the servers" : counted(report.differing, "difference")))
    }
}
