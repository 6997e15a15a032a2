import ArgumentParser
import BrimClient
import BrimMaster
import BrimModel
import BrimWire
import Foundation
import Logging

/// `brim restore --version NUMBER REMOTE`, and `brim restore FILE`.
struct RestoreCommand: BrimCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make an old version of a file the current one; or put a backup of all metadata back.",
        discussion: """
            With --version, an old version of a file becomes a new version with the old one's bytes and time; what was \
            current becomes an old version. No bytes are copied. The file keeps its wanted number of copies.

              brim versions /notes/today.txt
              brim restore --version 3 /notes/today.txt

            Without it, a file that 'brim backup' wrote is put back into an empty database, while no master runs; - is \
            standard input. The file is checked first. Nothing is deleted on slaves: what they have got since the backup was \
            made is kept there.

              brim restore --data /srv/brim-master-new /backup/brim-monday.gz
              brim restore --mongodb m1,m2,m3 --database brim2 /backup/brim-monday.gz
            """)

    @Option(help: ArgumentHelp("Which version, as 'brim versions' lists them.", valueName: "number"))
    var version: Int64?

    @Argument(help: ArgumentHelp("A path in the swarm, or a backup.", valueName: "remote | file"))
    var subject: String

    @OptionGroup var metadata: MetadataOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        let namesDatabase =
            metadata.mongodb != nil || metadata.data != nil || metadata.database != nil || metadata.mongod != nil
        if version != nil, namesDatabase {
            throw ValidationError("A version of a file is restored by a master: --version goes with no database.")
        }
        if version == nil, connection.masters != nil {
            throw ValidationError(
                "Name the version of the file with --version; a backup is put back while no master runs, without --master."
            )
        }
        if subject.isEmpty { throw ValidationError("The name is empty.") }
    }

    func run() async throws {
        if let version { try await restoreVersion(version) } else { try await restoreBackup() }
    }

    private func restoreVersion(_ version: Int64) async throws {
        let path: BrimPath
        do {
            path = try RemotePath(parsing: subject).path
        } catch {
            throw UsageError("\(error)")
        }
        let client = try await connection.connect(readsOffline: false)
        do {
            let stat = try await client.restore(path, version: version)
            await client.shutdown()
            if global.json { return try Console.printJSON(stat) }
            print(
                "\(Console.shown(stat.path)) is at version \(stat.version ?? 0), with the bytes of version \(version)")
        } catch {
            await client.shutdown()
            throw error
        }
    }

    private func restoreBackup() async throws {
        let settings = try await connection.secrets.settings()
        let keys = try SwarmKeys(password: try connection.secrets.password(settings))
        let place: MetadataPlace
        do {
            place = try metadata.place(settings, keys)
        } catch let error as UsageError {
            throw UsageError("\(error.message) To restore a file of the swarm, name its version with --version.")
        }
        let backup = MetadataBackup(of: place, keys: keys, logger: Logger(label: "brim.restore"))
        let header = try await backup.restore(try BackupFiles.source(subject))
        if global.json { return try Console.printJSON(BackupReply(header, bytes: nil)) }
        print(
            "the database '\(place.database)' is as it was at \(header.time): \(header.documents) documents. Start the "
                + "masters now")
    }
}
