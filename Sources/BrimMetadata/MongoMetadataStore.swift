import BrimModel
import Logging
import MongoDriver
import Synchronization

/// The metadata of a swarm in MongoDB.
///
/// Stateless but for a block of reserved ids and guesses at where directories are, so any number of masters may use one database. All writes are acknowledged
/// by a majority with its journal; so that what was said to be done stays done.
public final class MongoMetadataStore: MetadataStore {
    /// A look-up may keep MongoDB busy for this long: less than a client waits for a server that is silent, so that an
    /// answer that comes late is told from one that never will.
    static let timeLimit = Duration.seconds(8)
    /// The same for what goes through many documents.
    static let scanLimit = Duration.seconds(20)
    /// Ids reserved at a time: each block is one master's, which uses them in their order.
    package static let idBlock = 1024
    /// Another writer may be first this often before an operation gives up with `.conflict`.
    static let attempts = 8

    public let client: MongoClient
    public let database: MongoDatabase
    let logger: Logger
    let clock: @Sendable () -> Timestamp
    let collections: Collections
    /// For change streams.
    private let streams: MongoClient
    /// For what goes through many documents, and waits longer for a server that is silent.
    private let scans: MongoClient
    private let scanned: MongoCollection
    /// The files, by clients that streams hold.
    let streamed: MongoCollection
    /// Which documents it writes, and how older ones are brought to that.
    let history: SchemaHistory
    let directories = DirectoryHints()
    private let fence: ReadFence
    private let reserved = Mutex<Range<Int64>>(0..<0)

    /// One stream that lasts, two that catch up, and looking where the changes are.
    private static let streamClients = 4
    private static let scanClients = 8

    /// `clock` gives the times that the store itself sets; change streams take clients from `streams`, and what goes through
    /// many documents from `scans`, when there are such.
    public convenience init(
        client: MongoClient, streams: MongoClient? = nil, scans: MongoClient? = nil, database: String = "brim",
        logger: Logger = Logger(label: "brim.metadata"), clock: @escaping @Sendable () -> Timestamp = { .now }
    ) {
        self.init(
            client: client, streams: streams, scans: scans, database: database, history: .current, logger: logger,
            clock: clock)
    }

    /// With a history of versions of the caller's own, for tests of upgrades.
    package init(
        client: MongoClient, streams: MongoClient? = nil, scans: MongoClient? = nil, database: String,
        history: SchemaHistory,
        logger: Logger = Logger(label: "brim.metadata"), clock: @escaping @Sendable () -> Timestamp = { .now }
    ) {
        self.history = history
        self.client = client
        self.streams = streams ?? client
        self.scans = scans ?? client
        self.database = client.database(database)
        self.logger = logger
        self.clock = clock
        collections = Collections(self.database)
        fence = ReadFence(client, collections)
        streamed = self.streams.database(database).collection(collections.files.name)
        scanned = self.scans.database(database).collection(collections.files.name)
    }

    /// A store with a client of its own; connects at the first call. Throws `.invalid` for a URI that is none.
    public static func connect(
        uri: String, database: String = "brim", logger: Logger = Logger(label: "brim.metadata"),
        clock: @escaping @Sendable () -> Timestamp = { .now }
    ) throws(BrimError) -> MongoMetadataStore {
        do {
            let options = MongoClientOptions(applicationName: applicationName(database))
            return MongoMetadataStore(
                client: try MongoClient(uri: uri, options: options, logger: logger),
                streams: try MongoClient(uri: uri, options: patient(streamClients), logger: logger),
                scans: try MongoClient(uri: uri, options: patient(scanClients), logger: logger),
                database: database, logger: logger, clock: clock)
        } catch {
            throw BrimError(.invalid, "\(error)", advice: "Check the MongoDB URI")
        }
    }

    private static func patient(_ clients: Int) -> MongoClientOptions {
        MongoClientOptions(poolSize: clients, socketTimeout: scanLimit + .seconds(5))
    }

    public func close() async {
        await streams.close()
        await scans.close()
        await client.close()
    }

    public func prepare(passwordProof: String) async throws -> String {
        try await translatingErrors("preparing the database") {
            // First of all, so that nothing is changed in what is another swarm's.
            _ = try await swarm(provenBy: passwordProof)
            try await MaintenanceLock.requireFree(in: collections.leases)
            try await UnfinishedWork.requireNone(in: collections.settings)
            try await SchemaUpgrade(database: database, collections: collections, history: history, logger: logger)
                .run()
            try await Schema.ensure(in: database)
            try await enterBeginnings()
            // Another master may have begun at the same moment: whoever was first has chosen id and password.
            try await Schema.unlessPresent {
                try await collections.settings.updateOne(
                    ["_id": "swarm"],
                    [
                        "$setOnInsert": [
                            "swarm": .string(ObjectID().hex), "passwordProof": .string(passwordProof),
                            "created": .date(clock()),
                        ]
                    ], upsert: true)
            }
            guard let swarm = try await swarm(provenBy: passwordProof) else {
                throw BrimError(.conflict, "the settings of the swarm vanished while they were read")
            }
            return swarm
        }
    }

    /// The id of the swarm in this database, nil while there is none. Throws `.denied` when it has another password.
    private func swarm(provenBy passwordProof: String) async throws -> String? {
        guard let swarm = try await collections.settings.findOne(["_id": "swarm"]) else { return nil }
        guard try swarm.string("passwordProof") == passwordProof else {
            throw Refusal.otherPassword(database: database.name)
        }
        return try swarm.string("swarm")
    }

    /// The root, the counters and the version, where missing.
    private func enterBeginnings() async throws {
        let now = clock()
        let root = Entry(
            id: .root, parent: nil, name: nil, type: .directory, mode: 0o755, created: now, modified: now)
        let beginnings: [(MongoCollection, BSONDocument)] = [
            (collections.counters, ["_id": "files", "value": .id(.root)]),
            (collections.counters, ["_id": "directoryMoves", "value": 0]),
            (
                collections.leases,
                ["_id": "leader", "term": 0, "view": ["epoch": 0, "counted": [], "readable": [], "up": []]]
            ),
            (collections.settings, ["_id": "schemaVersion", "value": .int64(history.version)]),
            (collections.files, Documents.live(root, changed: now)),
        ]
        for (collection, document) in beginnings {
            let id = document["_id"] ?? .null
            guard try await collection.findOne(["_id": id]) == nil else { continue }
            try await Schema.unlessPresent { _ = try await collection.insertOne(document) }
        }
    }

    /// Renews the constants in the view `neediest`, when servers or their quotas have changed.
    public func refreshViews(brims: [Int64], maxCopies: Int) async throws {
        try await translatingErrors("renewing the view 'neediest'") {
            var view = Schema.neediest
            view.pipeline = Pipelines.neediestView(sizeLimits: sizeLimits(brims: brims, maxCopies: maxCopies))
            try await Schema.renew(view, in: database)
        }
    }

    // MARK: What the topics share

    /// Ids that were never used and are not reserved by any other master; those that are not used are lost.
    func takeIDs(_ count: Int) async throws -> [FileID] {
        let fromBlock = reserved.withLock { range in
            let taken = range.prefix(count)
            range = range.dropFirst(count)
            return taken.map { FileID($0) }
        }
        guard fromBlock.count < count else { return fromBlock }
        let missing = Int64(count - fromBlock.count)
        let size = max(missing, Int64(Self.idBlock))
        let counter = try await collections.counters.findOneAndUpdate(
            ["_id": "files"], ["$inc": ["value": .int64(size)]], returnNew: true)
        guard let last = try counter?.int64("value") else {
            throw BrimError(
                .corrupt, "the counter 'files' is missing", advice: "Restore it from a backup of the database")
        }
        let block = last - size + 1..<last + 1
        // Of two blocks that arrive at once the smaller numbers stay unused.
        reserved.withLock { $0 = block.dropFirst(Int(missing)) }
        return fromBlock + block.prefix(Int(missing)).map { FileID($0) }
    }

    /// Runs a transaction, again when another one made the same key at the same time.
    func transaction<T: Sendable>(_ body: @escaping @Sendable (MongoTransaction) throws -> T) async throws -> T {
        for _ in 1..<Self.attempts {
            do {
                return try await client.withTransaction(MongoTransactionOptions(), body)
            } catch let error as MongoError where error.kind == .duplicateKey {
                continue
            }
        }
        return try await client.withTransaction(MongoTransactionOptions(), body)
    }

    /// A look-up of what others may have changed: nothing is missing that was acknowledged before. Use it where the answer is
    /// told to people, and not where a later write depends on it anyway.
    func look<T: Sendable>(_ read: () async throws -> T) async throws -> T { try await fence.look(read) }

    /// The whole result, with a limit to its time.
    func all(_ filter: BSONDocument, in collection: MongoCollection, _ options: FindOptions) async throws
        -> [BSONDocument]
    {
        var options = options
        options.maxTime = Self.timeLimit
        return try await collection.find(filter, options).toArray()
    }

    func aggregate(
        _ pipeline: [BSONDocument], hint: MongoHint? = nil, readConcern: MongoReadConcern? = nil
    ) async throws -> [BSONDocument] {
        try await scanned.with(readConcern: readConcern)
            .aggregate(pipeline, AggregateOptions(hint: hint, maxTime: Self.scanLimit)).toArray()
    }
}

/// The collections of a swarm's database.
struct Collections: Sendable {
    let files, servers, forgotten, counters, settings, leases, masters, deletions, events, requests: MongoCollection

    /// Writes something of no meaning: what it comes after has a majority when it has, and who took it led then.
    func sign(_ name: String) async throws {
        try await counters.updateOne(["_id": .string(name)], ["$inc": ["value": .int64(1)]], upsert: true)
    }

    init(_ database: MongoDatabase) {
        files = database.collection("files")
        servers = database.collection("servers")
        forgotten = database.collection("forgotten")
        counters = database.collection("counters")
        settings = database.collection("settings")
        leases = database.collection("leases")
        masters = database.collection("masters")
        deletions = database.collection("deletions")
        events = database.collection("events")
        requests = database.collection("requests")
    }
}
