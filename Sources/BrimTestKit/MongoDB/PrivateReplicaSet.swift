import BrimMetadata
import Foundation
import MongoDriver
import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A real replica set for tests: several mongods that can be killed, held still, asked to step down, and cut
/// off from each other. None of them outlives the process that started it.
///
/// On loopback everybody reaches a member by way of a TCP proxy in this process (``MongodBridge``), which is how a member is cut off from
/// the others and not from the masters, as is needed to see what a former primary still acknowledges. A member that hangs, or is cut off
/// from everybody, is one that is held still (SIGSTOP): its connections stay and are silent. Neither needs root. On hosts of a ``TestNetwork`` that network is
/// what is cut.
public final class PrivateReplicaSet: TestDatabase {
    private struct Member {
        var process: MongodProcess
        /// nil on hosts of their own.
        var bridge: MongodBridge?
        /// How everybody reaches it.
        var address: String
        /// Speaks to it directly, whatever is cut.
        var client: MongoClient
    }

    /// What a member says of itself.
    public enum Role: Sendable {
        case primary, secondary
        /// Starting, catching up, or none of these.
        case other
        /// It does not answer.
        case silent
    }

    private static let name = "brim-test"
    /// Mostly for machines that are busy with other things.
    private static let patience = Duration.seconds(120)

    private let members: [Member]
    /// Held still.
    private let frozen = Mutex<Set<Int>>([])

    private init(_ members: [Member]) { self.members = members }

    public var count: Int { members.count }

    /// Names all members.
    public var uri: String { uri(of: Array(members.indices)) }

    /// Names only some of the members; a driver learns of the others from them.
    public func uri(of some: [Int]) -> String {
        let hosts = some.map { members[$0].address }.joined(separator: ",")
        return "mongodb://\(hosts)/?replicaSet=\(Self.name)"
    }

    /// Speaks to one member alone, whoever leads.
    public func directURI(of member: Int) -> String {
        "mongodb://\(members[member].address)/?directConnection=true"
    }

    // MARK: - Starting

    /// Returns when one member is primary and all others are secondaries.
    ///
    /// - Parameter hosts: where the members are.
    public static func start(
        on hosts: [TestHost] = [.loopback, .loopback, .loopback]
    ) async throws -> PrivateReplicaSet {
        var members: [Member] = []
        for host in hosts {
            let process = try MongodProcess(replicaSet: name, on: host)
            let direct = "\(host.address):\(process.port)"
            let bridge = host == .loopback ? try await MongodBridge.open(to: process.port) : nil
            let client = try MongoClient(
                uri: "mongodb://\(direct)/?directConnection=true",
                options: MongoClientOptions(
                    poolSize: 2, serverSelectionTimeout: .seconds(2), connectTimeout: .seconds(2),
                    socketTimeout: .seconds(5), heartbeat: .milliseconds(500)))
            let address = bridge.map { "\(host.address):\($0.port)" } ?? direct
            members.append(Member(process: process, bridge: bridge, address: address, client: client))
        }
        let set = PrivateReplicaSet(members)
        do {
            for member in members { try member.process.launch() }
            try await set.initiate()
            try await set.waitUntilWhole()
            return set
        } catch {
            await set.stop()
            throw error
        }
    }

    private func initiate() async throws {
        let hosts = members.enumerated().map { number, member -> BSONDocument in
            ["_id": .int(number), "host": .string(member.address)]
        }
        let configuration: BSONDocument = [
            "_id": .string(Self.name), "members": .documents(hosts),
            "settings": .document(ReplicaSetTimes.settings),
        ]
        var last = "nothing was tried"
        try await wait("the replica set is initiated", { last }) {
            do {
                _ = try await admin(0).runCommand(["replSetInitiate": .document(configuration)])
                return true
            } catch let error as MongoError where error.codeName == "AlreadyInitialized" {
                return true
            } catch let error as MongoError {
                last = error.description
                return false
            }
        }
    }

    // MARK: - Looking

    public func role(of member: Int) async -> Role {
        guard members[member].process.isRunning, !frozen.withLock({ $0.contains(member) }),
            let hello = try? await admin(member).runCommand(["hello": 1])
        else { return .silent }
        if hello["isWritablePrimary"]?.boolValue == true { return .primary }
        return hello["secondary"]?.boolValue == true ? .secondary : .other
    }

    public func isRunning(_ member: Int) -> Bool { members[member].process.isRunning }

    /// Waits until a member says that it is primary.
    ///
    /// - Parameter other: one that is not meant, since it may not know yet that it is primary no more.
    @discardableResult
    public func primary(besides other: Int? = nil) async throws -> Int {
        var found: Int?
        try await wait("a primary") {
            for member in members.indices where member != other && found == nil {
                if await role(of: member) == .primary { found = member }
            }
            return found != nil
        }
        guard let found else { throw MongodStartError(description: "no primary") }
        return found
    }

    /// Waits until every member is primary or secondary.
    public func waitUntilWhole() async throws {
        try await wait("all members serve") {
            var roles: [Role] = []
            for member in members.indices { roles.append(await role(of: member)) }
            return roles.contains(.primary) && roles.allSatisfy { $0 == .primary || $0 == .secondary }
        }
    }

    // MARK: - Breaking and mending

    /// Kills a member without a chance to tidy up; its connections are reset.
    public func kill9(_ member: Int) async { await members[member].process.kill9() }

    /// Starts a member that was killed, with its data, without waiting for it.
    public func relaunch(_ member: Int) throws { try members[member].process.launch() }

    /// Asks the primary to let another one lead, and returns that.
    public func stepDown() async throws -> Int {
        let former = try await primary()
        try await wait("another primary than member \(former)") {
            for member in members.indices where member != former {
                if await role(of: member) == .primary { return true }
            }
            do {
                _ = try await admin(former).runCommand([
                    "replSetStepDown": 15, "secondaryCatchUpPeriodSecs": 3,
                ])
            } catch let error as MongoError where error.isRetryable {
                // It may close connections before it has answered, and refuses while no other one may be elected: those that
                // stepped down just now may not.
            }
            return false
        }
        return try await primary(besides: former)
    }

    /// Lets another member be elected now, which need not reach the present primary, and returns it.
    public func stepUp(besides former: Int) async throws -> Int {
        try await wait("another member is elected") {
            for member in members.indices where member != former {
                do {
                    _ = try await admin(member).runCommand(["replSetStepUp": 1])
                    return true
                } catch is MongoError {
                    // It lacks what the other one has, or nobody voted yet.
                }
            }
            return false
        }
        return try await primary(besides: former)
    }

    /// Holds a member still: it neither answers nor hears.
    public func freeze(_ member: Int) {
        frozen.withLock { _ = $0.insert(member) }
        members[member].process.send(SIGSTOP)
    }

    public func thaw(_ member: Int) {
        members[member].process.send(SIGCONT)
        frozen.withLock { _ = $0.remove(member) }
    }

    /// Cuts a member on loopback off from the others, both ways; clients reach all of them.
    public func isolate(_ member: Int) {
        let port = members[member].process.port
        let others = Set(members.map(\.process.port)).subtracting([port])
        for (number, other) in members.enumerated() { other.bridge?.cut(number == member ? others : [port]) }
    }

    /// Everybody reaches everybody again.
    public func heal() {
        for member in members { member.bridge?.cut([]) }
    }

    /// Ends all of it, and removes the directories.
    public func stop() async {
        for member in members { member.process.send(SIGCONT) }
        for member in members { await member.client.close() }
        await withTaskGroup(of: Void.self) { group in
            for member in members { group.addTask { await member.process.remove() } }
        }
        for member in members { await member.bridge?.close() }
    }

    // MARK: - Details

    private func admin(_ member: Int) -> MongoDatabase { members[member].client.database("admin") }

    private func wait(
        _ what: String, _ detail: () -> String = { "" }, _ condition: () async throws -> Bool
    ) async throws {
        let deadline = ContinuousClock.now + Self.patience
        while try await !condition() {
            guard ContinuousClock.now < deadline else {
                let logs = members.enumerated().map { "--- member \($0) ---\n\($1.process.log)" }
                throw MongodStartError(
                    description: "waited \(Self.patience) for: \(what). \(detail())\n\(logs.joined(separator: "\n"))")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }
}
