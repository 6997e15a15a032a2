import ArgumentParser
import BrimMaster
import BrimMetadata
import BrimModel
import BrimWire
import Foundation
import Logging

/// `brim backup FILE`
struct BackupCommand: BrimCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Write a backup of all metadata: names, attributes, where copies are.",
        discussion: """
            As of one moment, while all runs. The bytes of files are not in it: these are on the slaves. It talks to \
            MongoDB itself, so it needs no master; give it the --mongodb or --data of one. The file is compressed and sealed: \
            'brim restore' finds out whether it is whole.

              brim backup --data /srv/brim-master /backup/brim-monday.gz
              brim backup --mongodb 'mongodb://m1,m2,m3/?replicaSet=rs0' - | ssh far 'cat > brim.gz'
            """)

    @Argument(help: ArgumentHelp("The file to write; - for standard output.", valueName: "file"))
    var file: String

    @OptionGroup var metadata: MetadataOptions
    @OptionGroup var secrets: SecretOptions
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if file.isEmpty { throw ValidationError("The name of the file is empty.") }
    }

    func run() async throws {
        let settings = try await secrets.settings()
        let place = try metadata.place(settings)
        let keys = try SwarmKeys(password: try secrets.password(settings))
        if file == "-", Console.outputIsTerminal {
            throw UsageError("A backup is not for a terminal: name a file, or send it into a pipe.")
        }
        let target = try NewBackupFile(file)
        let summary: BackupSummary
        do {
            let backup = MetadataBackup(of: place, keys: keys, logger: Logger(label: "brim.backup"))
            summary = try await backup.write(version: BuildInfo.version) { try target.write($0) }
            try target.commit()
        } catch {
            target.discard()
            throw error
        }
        try tell(summary)
    }

    private func tell(_ summary: BackupSummary) throws {
        if global.json, file != "-" { return try Console.printJSON(BackupReply(summary.header, bytes: summary.bytes)) }
        let text =
            "backup of the database '\(summary.header.database)' as of \(summary.header.time): "
            + "\(summary.header.documents) documents, \(ByteCount.format(summary.bytes))\n"
        if file == "-" { Console.writeError("brim: \(text)") } else { print(text, terminator: "") }
    }
}

/// What `--json` says of a backup.
struct BackupReply: Encodable {
    var swarm: String
    var database: String
    /// The moment whose state it holds.
    var time: Timestamp
    var schemaVersion: Int64
    var version: String
    /// Documents by collection.
    var documents: [String: Int64]
    /// Of the file; null for one that was read.
    @Nullable var bytes: Int64?

    init(_ header: BackupHeader, bytes: Int64?) {
        swarm = header.swarm
        database = header.database
        time = header.time
        schemaVersion = header.schemaVersion
        version = header.version
        documents = Dictionary(header.counts.map { ($0.collection, $0.documents) }) { first, _ in first }
        _bytes = Nullable(wrappedValue: bytes)
    }
}
