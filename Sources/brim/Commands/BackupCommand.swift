import ArgumentParser
import BrimClient
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
              brim backup --mongodb m1,m2,m3 - | ssh far 'cat > brim.gz'
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
        let keys = try SwarmKeys(password: try secrets.password(settings))
        let place = try metadata.place(settings, keys)
        if file == "-", Console.outputIsTerminal {
            throw UsageError("A backup is not for a terminal: name a file, or send it into a pipe.")
        }
        let backup = MetadataBackup(of: place, keys: keys, logger: Logger(label: "brim.backup"))
        if file == "-" {
            let output = StreamSink(file: LocalFile(borrowing: STDOUT_FILENO, name: "standard output"))
            return try tell(try await write(backup, to: output))
        }
        let target = try await NewFile(at: file)
        defer { target.discard() }
        let summary = try await write(backup, to: target)
        try await target.commit(mode: 0o600, fallbackMode: 0o600, modified: nil)
        try tell(summary)
    }

    private func write(_ backup: MetadataBackup, to sink: some ByteSink) async throws -> BackupSummary {
        try await backup.write(version: BuildInfo.version) { try await sink.write($0) }
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
