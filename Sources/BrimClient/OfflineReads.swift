import BrimModel
import BrimWire
import Logging
import NIOHTTP1
import Synchronization

/// What a client does when no master answers: it reads from a slave. Also notes, while masters answer, where slaves are.
final class OfflineReads: Sendable {
    /// Addresses are asked for anew after so many seconds.
    private static let freshSeconds = 60.0
    /// The same while no slave is known.
    private static let searchSeconds = 1.0
    /// Slaves asked at a time how old their knowledge is.
    private static let candidates = 8
    /// For how long masters are not asked again once a slave has taken their place.
    private static let rest = Duration.seconds(5)

    private struct State {
        var addresses: SwarmAddresses
        /// When they were told, by this program or one before; nil: never.
        var learned: ContinuousClock.Instant?
        var slave: (url: String, until: ContinuousClock.Instant)?
        var isTold = false
    }

    private let given: [String]
    private let book: AddressBook?
    private let notice: @Sendable (String) -> Void
    private let logger: Logger
    private let state: Mutex<State>

    init(masters: [String], book: AddressBook?, notice: @escaping @Sendable (String) -> Void, logger: Logger) {
        given = masters
        self.book = book
        self.notice = notice
        self.logger = logger
        let known = book?.recall(masters)
        state = Mutex(
            State(
                addresses: known?.addresses ?? SwarmAddresses(),
                learned: known.map { ContinuousClock.now - .seconds(min($0.age, 1_000_000)) }))
    }

    // MARK: While masters answer

    /// Whether it is time to ask where the swarm is; says so once.
    func isDue() -> Bool {
        state.withLock { state in
            state.slave = nil
            let fresh = state.addresses.slaves.isEmpty ? Self.searchSeconds : Self.freshSeconds
            if let learned = state.learned, ContinuousClock.now - learned < .seconds(fresh) { return false }
            state.learned = .now
            return true
        }
    }

    func learn(_ swarm: SwarmReply) {
        let addresses = SwarmAddresses(
            masters: swarm.masters, slaves: swarm.servers.map { "http://\($0.address)" })
        state.withLock { $0.addresses = addresses }
        if let book, !book.note(addresses, for: given) { logger.debug("Addresses of the swarm cannot be kept") }
    }

    // MARK: While they do not

    /// Requests that a slave can answer.
    static func isRead(_ method: HTTPMethod, _ route: String) -> Bool {
        if method == .POST { return route == "/v1/reads" }
        return method == .GET && ["/v1/stat/", "/v1/list/", "/v1/where/"].contains { (route + "/").hasPrefix($0) }
    }

    /// The slave that took the masters' place a moment ago.
    var slave: String? {
        state.withLock { state in
            guard let slave = state.slave, slave.until > .now else { return nil }
            return slave.url
        }
    }

    func forget(_ slave: String) {
        state.withLock { state in
            if state.slave?.url == slave { state.slave = nil }
        }
    }

    /// Finds the slave with the newest copy of the namespace, one of everything before one that has its own files only;
    /// false when none answers.
    func find(_ peer: PeerClient, token: @escaping @Sendable () throws -> String) async -> Bool {
        let known = state.withLock { $0.addresses }
        var urls: [String] = []
        for url in known.slaves.shuffled() + given + known.masters where !urls.contains(url) { urls.append(url) }
        var rest = urls[...]
        while !rest.isEmpty {
            let batch = rest.prefix(Self.candidates)
            rest = rest.dropFirst(batch.count)
            if let (url, replica) = await best(batch, peer, token) {
                settle(on: url, replica)
                return true
            }
        }
        return false
    }

    private func best(
        _ urls: ArraySlice<String>, _ peer: PeerClient, _ token: @escaping @Sendable () throws -> String
    ) async -> (String, ReplicaStatus)? {
        await withTaskGroup(of: (String, ReplicaStatus)?.self) { group in
            for url in urls {
                group.addTask { [logger] in
                    do {
                        let reply = try await peer.call(
                            .GET, url + "/v1/swarm", token: try token(), deadline: .seconds(2), as: SwarmReply.self)
                        return reply.replica.map { (url, $0) }
                    } catch {
                        logger.debug("A slave did not answer", metadata: ["url": "\(url)", "error": "\(error)"])
                        return nil
                    }
                }
            }
            var found: [(String, ReplicaStatus)] = []
            for await answer in group { if let answer { found.append(answer) } }
            return found.min { a, b in
                (a.1.scope == .full ? 0 : 1, a.1.age) < (b.1.scope == .full ? 0 : 1, b.1.age)
            }
        }
    }

    private func settle(on url: String, _ replica: ReplicaStatus) {
        let isNews = state.withLock { state in
            defer { state.isTold = true }
            state.slave = (url, .now + Self.rest)
            return !state.isTold
        }
        guard isNews else { return }
        let scope = replica.scope == .own ? ", which knows only its own files" : ""
        notice("no master answers: reading from slave \(replica.server)\(scope), \(Int(replica.age)) s old")
    }
}

extension BrimClient {
    /// After a master answered: where the swarm is, now and then, for when none does.
    func learnAddresses(from master: String) async {
        guard offline.isDue() else { return }
        do {
            offline.learn(
                try await peer.call(
                    .GET, master + "/v1/swarm", token: token(), deadline: .seconds(2), as: SwarmReply.self))
        } catch {
            logger.debug("The swarm's addresses were not told", metadata: ["error": "\(error)"])
        }
    }

    /// Asks slaves what no master answers. Throws `failure` when none of them does either.
    func askSlaves<Reply: Decodable & Sendable>(
        _ method: HTTPMethod, _ route: String, body: (any Encodable & Sendable)?, deadline: Duration,
        insteadOf failure: BrimError
    ) async throws -> Reply {
        for _ in 0..<Self.slavesTried {
            guard await offline.find(peer, token: token) else { throw failure }
            if let reply: Reply = try await askSlave(method, route, body: body, deadline: deadline) { return reply }
        }
        throw failure
    }

    private static let slavesTried = 3

    /// Asks the slave that took the masters' place a moment ago; nil when there is none, or it does not answer.
    func askSlave<Reply: Decodable & Sendable>(
        _ method: HTTPMethod, _ route: String, body: (any Encodable & Sendable)?, deadline: Duration
    ) async throws -> Reply? {
        guard let slave = offline.slave else { return nil }
        do {
            return try await peer.call(
                method, slave + route, body: body, token: token(), deadline: deadline, as: Reply.self)
        } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
            logger.debug("A slave did not answer", metadata: ["url": "\(slave)", "error": "\(error)"])
            offline.forget(slave)
            return nil
        }
    }
}
