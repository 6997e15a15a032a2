import BrimMetadata
import BrimModel
import BrimWire
import Logging
import MongoDriver

/// Makes one replica set of the mongods of several machines, from inside one of them, without a shell.
///
/// Where none has data the first of the list begins the set, once all others answer. Where one has (a master's own mongod was
/// started as a member) it takes the others in, one at a time, each when the one before it has all data; only such as have none
/// of their own: MongoDB would remove it. Members are never thrown out.
struct ReplicaSetKeeper: Sendable {
    private static let pause = Duration.seconds(1)
    /// Between lines of the log that say the same.
    private static let silence = Duration.seconds(60)

    let members: MongodMembers
    /// This one.
    let own: HostPort
    let logger: Logger

    /// Until cancelled.
    func run() async {
        var memory = Memory()
        while !Task.isCancelled {
            do {
                try await Self.speaking(to: HostPort(host: "127.0.0.1", port: own.port), of: members, logger) { admin in
                    while !Task.isCancelled {
                        try await step(admin, &memory)
                        try await Task.sleep(for: Self.pause)
                    }
                }
            } catch {
                if Task.isCancelled { return }
                // It is starting, or being started again.
                memory.said("the mongod here does not answer", "\(error)", by: logger)
                try? await Task.sleep(for: Self.pause)
            }
        }
    }

    /// What was noted before.
    private struct Memory {
        var state = ""
        var hasUser = false
        private var last: (text: String, at: ContinuousClock.Instant)?

        /// Says it, unless that was just said.
        mutating func said(_ text: String, _ why: String, by logger: Logger) {
            if let last, last.text == text, ContinuousClock.now - last.at < silence { return }
            last = (text, .now)
            logger.warning("\(text)", metadata: ["reason": "\(why)"])
        }
    }

    private func step(_ admin: MongoDatabase, _ memory: inout Memory) async throws {
        let hello = try await admin.runCommand(["hello": 1])
        let isPrimary = hello["isWritablePrimary"]?.boolValue == true
        let state = Self.state(hello)
        if state != memory.state { logger.info("this member is \(state)", metadata: ["mongod.member": "\(own)"]) }
        memory.state = state
        if isPrimary {
            if !memory.hasUser { try await enterUser(admin) }
            memory.hasUser = true
            try await takeIn(admin, &memory)
        } else {
            memory.hasUser = false
            if hello["setName"] == nil { try await begin(admin, &memory) }
        }
    }

    private static func state(_ hello: BSONDocument) -> String {
        if hello["isWritablePrimary"]?.boolValue == true { return "primary" }
        if hello["secondary"]?.boolValue == true { return "secondary" }
        return hello["setName"] == nil ? "not in a replica set yet" : "catching up"
    }

    // MARK: - A new set

    private func begin(_ admin: MongoDatabase, _ memory: inout Memory) async throws {
        guard try await Self.isEmpty(admin) else { return }
        guard own == members.hosts.first else {
            return memory.said(
                "waiting to be taken in",
                "\(members.hosts[0]) begins a new replica set when all members answer; the primary of one that is there "
                    + "takes this one in", by: logger)
        }
        for host in members.hosts where host != own {
            do {
                guard try await Self.speaking(to: host, of: members, logger, Self.isEmpty) else {
                    return memory.said("waiting to be taken in", "\(host) is in a replica set already", by: logger)
                }
            } catch {
                return memory.said("waiting for \(host) before a new replica set begins", "\(error)", by: logger)
            }
        }
        let hosts = members.hosts.enumerated().map { number, host -> BSONDocument in
            ["_id": .int(number), "host": .string("\(host)")]
        }
        _ = try await admin.runCommand([
            "replSetInitiate": [
                "_id": .string(MongodMembers.replicaSet), "members": .documents(hosts),
                "settings": .document(ReplicaSetTimes.settings),
            ]
        ])
        logger.info("a new replica set has begun", metadata: ["mongod.members": "\(members)"])
    }

    /// Whether a mongod belongs to no replica set and so has no data.
    private static func isEmpty(_ admin: MongoDatabase) async throws -> Bool {
        do {
            _ = try await admin.runCommand(["replSetGetConfig": 1])
            return false
        } catch let error as MongoError where error.code == MongodMembers.notInitialized {
            return true
        }
    }

    // MARK: - The primary's part

    /// The masters' user, with the password that follows from the swarm's.
    private func enterUser(_ admin: MongoDatabase) async throws {
        do {
            _ = try await admin.runCommand(user("createUser"))
        } catch let error as MongoError where error.code == Self.userExists {
            _ = try await admin.runCommand(user("updateUser"))
        }
    }

    private func user(_ command: String) -> BSONDocument {
        let roles = ["readWriteAnyDatabase", "dbAdminAnyDatabase", "clusterMonitor"]
        return [
            command: .string(MongodMembers.user), "pwd": .string(members.password), "roles": .strings(roles),
            "writeConcern": ["w": "majority", "wtimeout": 5000],
        ]
    }

    private static let userExists = 51003

    /// Takes in one member that is missing, if all others are well.
    private func takeIn(_ admin: MongoDatabase, _ memory: inout Memory) async throws {
        guard var configuration = try await admin.runCommand(["replSetGetConfig": 1])["config"]?.documentValue,
            var present = configuration["members"]?.arrayValue?.compactMap(\.documentValue)
        else { return }
        let names = present.compactMap { $0["host"]?.stringValue }
        let missing = members.hosts.filter { !names.contains($0.description) }
        guard !missing.isEmpty else { return }
        let status = try await admin.runCommand(["replSetGetStatus": 1])
        for member in (status["members"]?.arrayValue ?? []).compactMap(\.documentValue) {
            guard let state = member["stateStr"]?.stringValue, !["PRIMARY", "SECONDARY"].contains(state) else {
                continue
            }
            let name = member["name"]?.stringValue ?? "a member"
            return memory.said("waiting for \(name) before another one is taken in", state, by: logger)
        }
        for host in missing {
            do {
                guard try await Self.speaking(to: host, of: members, logger, Self.isEmpty) else {
                    memory.said(
                        "\(host) is not taken in", "it has data of a replica set of its own: give it a new --data",
                        by: logger)
                    continue
                }
            } catch {
                memory.said("waiting for \(host) to take it in", "\(error)", by: logger)
                continue
            }
            let id = (present.compactMap { $0["_id"]?.intValue }.max() ?? -1) + 1
            present.append(["_id": .int(id), "host": .string("\(host)")])
            configuration["members"] = .documents(present)
            // One of a single member, or made by an older version, has MongoDB's own.
            var settings = configuration["settings"]?.documentValue ?? [:]
            settings.merge(ReplicaSetTimes.settings)
            configuration["settings"] = .document(settings)
            configuration["version"] = .int64((configuration["version"]?.int64Value ?? 1) + 1)
            _ = try await admin.runCommand(["replSetReconfig": .document(configuration)])
            logger.info("a member was taken in, and copies all data now", metadata: ["mongod.member": "\(host)"])
            return
        }
    }

    // MARK: - Connections

    /// Lends the database `admin` of one member, whatever its state.
    static func speaking<Result>(
        to host: HostPort, of members: MongodMembers, _ logger: Logger, _ body: (MongoDatabase) async throws -> Result
    ) async throws -> Result {
        let client = try MongoClient(
            uri: members.directURI(host),
            options: MongoClientOptions(
                poolSize: 1, serverSelectionTimeout: .seconds(3), connectTimeout: .seconds(3)), logger: logger)
        do {
            let result = try await body(client.database("admin"))
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }
}
