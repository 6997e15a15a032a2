import ArgumentParser
import BrimMaster
import BrimModel
import Foundation

/// Where a swarm's metadata is, for commands that use the database without a master.
struct MetadataOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("The MongoDB replica set that the masters use. BRIM_MONGODB.", valueName: "uri"))
    var mongodb: String?

    @Option(
        help: ArgumentHelp(
            "Instead: the data directory of a master with a mongod of its own. BRIM_DATA.", valueName: "directory"))
    var data: String?

    @Option(help: ArgumentHelp("The mongod to start where none runs in --data. BRIM_MONGOD.", valueName: "path"))
    var mongod: String?

    @Option(help: ArgumentHelp("The database's name. (default: brim)", valueName: "name"))
    var database: String?

    /// Where it is. A flag wins over whatever is set elsewhere, also over the other one's. Throws `UsageError` when neither is
    /// given.
    func place(_ settings: Settings) throws -> MetadataPlace {
        let database = try settings.text("database", flag: database) ?? "brim"
        if mongodb != nil && data != nil { throw UsageError("Give --mongodb or --data, not both.") }
        if let uri = try data == nil ? settings.text("mongodb", flag: mongodb) : nil {
            return MetadataPlace(.mongodb(uri: uri), database: database)
        }
        guard let directory = try settings.text("data", flag: data) else {
            throw UsageError(
                "Say where the metadata is: --mongodb with the URI that the masters have, or --data with the directory of a "
                    + "master that has a mongod of its own.")
        }
        return MetadataPlace(
            .directory(URL(fileURLWithPath: directory), mongod: try settings.text("mongod", flag: mongod)),
            database: database)
    }
}
