import BrimModel
import BrimPlacement
import BrimWire
import Foundation

/// What a master needs to know to start.
public struct MasterConfiguration: Sendable {
    /// Where it listens; port 0 takes any free one.
    public var listen: HostPort
    /// Where slaves, clients and other masters reach it; nil: the address it listens on, or a guess where that is any.
    public var advertise: HostPort?
    /// How long its lease lasts when it leads: others wait so long for it when it falls silent.
    public var lease: Duration
    /// Shown with the masters.
    public var version: String
    /// Whether the next free port is taken when the one asked for is in use.
    public var fallbackPorts: Bool
    /// URI of a MongoDB replica set (version 5 or newer); nil: a mongod of its own, below `dataDirectory`.
    public var mongodb: String?
    /// How long MongoDB may refuse the user in the URI at the start, since it does not know of it yet.
    public var mongodbUserPatience: Duration
    /// The database's name.
    public var database: String
    /// Used only with a mongod of its own.
    public var dataDirectory: URL
    /// The mongod to start; nil: looked for on PATH and in the cache directory.
    public var mongodPath: String?
    /// Settings that a person gives at the start; see `given`.
    public var settings: SwarmSettings
    /// Which of them were given: these are stored unless they are the same as at the last start. nil: all that differ
    /// from the usual ones.
    public var given: Set<SwarmSetting>?
    public var keys: SwarmKeys
    /// Asked after the swarm's rules, in this order. The same ones on all masters, or n depends on who is asked.
    public var policies: [any ReplicationPolicy] = []
    /// A program that is asked after these; see docs/policies.md.
    public var policyProgram: String?
    /// How long the program may take for one question.
    public var policyDeadline = Duration.seconds(1)

    public init(
        listen: HostPort, advertise: HostPort? = nil, lease: Duration = .seconds(5), version: String = "dev",
        fallbackPorts: Bool = false, mongodb: String? = nil, mongodbUserPatience: Duration = .zero,
        database: String = "brim", dataDirectory: URL, mongodPath: String? = nil,
        settings: SwarmSettings = SwarmSettings(), given: Set<SwarmSetting>? = nil, keys: SwarmKeys
    ) {
        self.listen = listen
        self.advertise = advertise
        self.lease = lease
        self.version = version
        self.fallbackPorts = fallbackPorts
        self.mongodb = mongodb
        self.mongodbUserPatience = mongodbUserPatience
        self.database = database
        self.dataDirectory = dataDirectory
        self.mongodPath = mongodPath
        self.settings = settings
        self.given = given
        self.keys = keys
    }
}
