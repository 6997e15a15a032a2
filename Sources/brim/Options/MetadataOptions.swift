import ArgumentParser
import BrimMaster
import BrimModel
import BrimWire
import Foundation

/// Where a swarm's metadata is, for commands that use the database without a master.
struct MetadataOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The MongoDB replica set that the masters use, as they are given it. BRIM_MONGODB.",
            valueName: "uri|host[,host...]"),
        transform: { try MongodbSetting(parsing: $0) })
    var mongodb: MongodbSetting?

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
    func place(_ settings: Settings, _ keys: SwarmKeys) throws -> MetadataPlace {
        let database = try settings.text("database", flag: database) ?? "brim"
        if mongodb != nil && data != nil { throw UsageError("Give --mongodb or --data, not both.") }
        if data == nil,
            let mongodb = try settings.value("mongodb", flag: mongodb, parse: { try MongodbSetting(parsing: $0) })
        {
            return MetadataPlace(.mongodb(uri: mongodb.uri(keys)), database: database)
        }
        guard let directory = try settings.text("data", flag: data) else {
            throw UsageError(
                "Say where the metadata is: --mongodb as the masters have it, or --data with the directory of a master that "
                    + "has a mongod of its own.")
        }
        return MetadataPlace(
            .directory(URL(fileURLWithPath: directory), mongod: try settings.text("mongod", flag: mongod)),
            database: database)
    }
}
