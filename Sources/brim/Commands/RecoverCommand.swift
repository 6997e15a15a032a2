import ArgumentParser
import BrimMaster
import BrimModel
import BrimWire
import Foundation
import Logging

/// `brim recover`
struct RecoverCommand: BrimCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Rebuild lost metadata from what the slaves know.",
        discussion: """
            For when MongoDB is lost and there is no backup, or only an old one. Leave the slaves running and stop all \
            masters. Without --apply it only tells what would be there. With --apply it fills an empty database; then start \
            the masters.

              brim recover --slaves alpha:4243,bravo:4243
              brim recover --slaves alpha:4243,bravo:4243 --data /srv/brim-master-new --apply
            """)

    @Option(
        help: ArgumentHelp(
            "Some of the slaves: they tell of the others. BRIM_SLAVES.", valueName: "host[:port][,...]"),
        transform: { try slaveAddresses(parsing: $0) })
    var slaves: [String]?

    @Flag(help: "Fill the database. Else nothing is changed.") var apply = false

    @OptionGroup var metadata: MetadataOptions
    @OptionGroup var secrets: SecretOptions
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let settings = try await secrets.settings()
        guard let slaves = try settings.value("slaves", flag: slaves, parse: { try slaveAddresses(parsing: $0) }) else {
            throw UsageError("Name some of the slaves with --slaves, as in --slaves alpha:4243,bravo:4243.")
        }
        let keys = try SwarmKeys(password: try secrets.password(settings))
        let place = apply ? try metadata.place(settings, keys) : nil
        let recovery = MetadataRecovery(slaves: slaves, keys: keys, logger: Logger(label: "brim.recover"))
        let report = if let place { try await recovery.apply(to: place) } else { try await recovery.plan() }
        if global.json { return try Console.printJSON(report) }
        tell(report)
    }

    private func tell(_ report: RecoveryReport) {
        var table = Table([
            .left("SERVER"), .left("ADDRESS"), .right("BLOBS"), .right("NAMESPACE"), .left("AS OF"),
        ])
        for server in report.servers {
            table.add([
                server.name.rawValue, server.address, String(server.blobs),
                server.entries.map { String($0) } ?? "none", server.asOf.map { "\($0)" } ?? "",
            ])
        }
        table.print()
        for silent in report.silent {
            print("\(silent.name?.rawValue ?? silent.address) does not answer: \(silent.reason)")
        }
        print()
        let named = report.namespace.map { " (names as \($0) knew them)" } ?? ""
        print(
            "\(counted(report.files, "file")), \(ByteCount.format(report.bytes)), "
                + "\(counted(report.directories, "directory", "directories")), \(counted(report.links, "link"))\(named)"
        )
        print(
            "\(report.removed) removed files and \(report.formerVersions) former versions can be brought back, "
                + "\(report.unknownBlobs) blobs are of nobody knows what and stay where they are")
        if report.unreachable > 0 {
            print("\(report.unreachable) files have no copy on a slave that answered:")
            for path in report.unreachableFiles.prefix(20) { print("  \(Console.shown(path))") }
        }
        for conflict in report.conflicts.prefix(20) { print("\(Console.shown(conflict.path)): \(conflict.what)") }
        if report.conflicts.count > 20 { print("and \(report.conflicts.count - 20) more: see --json") }
        for note in report.notes { print("note: \(note)") }
        print(
            report.applied
                ? "The database is filled. Start the masters now."
                : "Nothing was changed: add --apply, and say where the new database is with --data or --mongodb.")
    }
}

@Sendable private func slaveAddresses(parsing text: String) throws -> [String] {
    let parts = text.split(separator: ",").map { $0.drop { $0 == " " } }
    guard !parts.isEmpty else { throw BrimError(.invalid, "no slave is named", advice: "Give host:port of some") }
    return try parts.map { part in
        let scheme = "http://"
        let host = part.hasPrefix(scheme) ? part.dropFirst(scheme.count) : part
        return try HostPort(parsing: String(host), defaultHost: "localhost", defaultPort: defaultSlavePort).description
    }
}
