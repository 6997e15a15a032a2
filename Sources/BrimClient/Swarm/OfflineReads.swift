import BrimModel
import BrimWire
import Logging
import NIOHTTP1
import Synchronization

/// What a client does when no master answers: it reads from a slave, the one whose copy of the namespace is the most recent.
final class OfflineReads: Sendable {
    /// Slaves asked at a time how old their knowledge is.
    private static let candidates = 8
    /// For how long masters are not asked again once a slave has taken their place: at first, and when that happens again
    /// and again.
    private static let rests = (first: Duration.seconds(5), last: Duration.seconds(60))

    private struct State {
        var slave: (url: String, until: ContinuousClock.Instant)?
        var rest = OfflineReads.rests.first
        var isTold = false
    }

    private let swarm: KnownSwarm
    private let notice: @Sendable (String) -> Void
    private let logger: Logger
    private let state = Mutex(State())

    init(swarm: KnownSwarm, notice: @escaping @Sendable (String) -> Void, logger: Logger) {
        self.swarm = swarm
        self.notice = notice
        self.logger = logger
    }

    /// Requests that a slave can answer.
    static func isRead(_ method: HTTPMethod, _ route: String) -> Bool {
        if method == .POST { return route == "/v1/reads" }
        guard method == .GET else { return false }
        let path = route.prefix { $0 != "?" }
        return ["/v1/stat", "/v1/list", "/v1/where"].contains { path == $0 || path.hasPrefix($0 + "/") }
    }

    /// The slave that took the masters' place a moment ago.
    var slave: String? {
        state.withLock { state in
            guard let slave = state.slave, slave.until > .now else { return nil }
            return slave.url
        }
    }

    /// A master answered: from now on they are asked.
    func end() {
        state.withLock { ($0.slave, $0.rest) = (nil, Self.rests.first) }
    }

    func forget(_ slave: String) {
        state.withLock { state in
            if state.slave?.url == slave { state.slave = nil }
        }
    }

    /// Finds the slave with the newest copy of the namespace, one of everything before one that has its own files only, none
    /// of `tried`; nil when none answers.
    func find(
        _ peer: PeerClient, besides tried: Set<String>, token: @escaping @Sendable () throws -> String
    ) async -> String? {
        var rest = swarm.slaves.filter { !tried.contains($0) }[...]
        while !rest.isEmpty {
            let batch = rest.prefix(Self.candidates)
            rest = rest.dropFirst(batch.count)
            if let (url, replica) = await best(batch, peer, token) {
                settle(on: url, replica)
                return url
            }
        }
        return nil
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
            state.slave = (url, .now + state.rest)
            state.rest = min(state.rest * 2, Self.rests.last)
            return !state.isTold
        }
        guard isNews else { return }
        let scope = replica.scope == .own ? ", which knows only its own files" : ""
        notice("no master answers: reading from slave \(replica.server)\(scope), \(Int(replica.age)) s old")
    }
}

extension BrimClient {
    /// Slaves that are tried for one request: each may know only its own files.
    private static let slavesTried = 32

    /// Asks the masters, and a slave what none of them answers.
    // `masters` escapes although it need not: the optimizer of Swift 6.3 crashes on the other form.
    func askReaders<Reply: Decodable & Sendable>(
        _ method: HTTPMethod, _ route: String, body: (any Encodable & Sendable)?, deadline: Duration,
        masters: @escaping @Sendable () async throws -> Reply
    ) async throws -> Reply {
        var tried: Set<String> = []
        if let slave = offline.slave {
            if let reply: Reply = try await ask(slave, method, route, body, deadline) { return reply }
            tried.insert(slave)
        }
        do {
            return try await masters()
        } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
            while tried.count < Self.slavesTried, let slave = await offline.find(peer, besides: tried, token: token) {
                if let reply: Reply = try await ask(slave, method, route, body, deadline) { return reply }
                tried.insert(slave)
            }
            throw error
        }
    }

    /// Asks a slave; nil when it does not answer.
    private func ask<Reply: Decodable & Sendable>(
        _ slave: String, _ method: HTTPMethod, _ route: String, _ body: (any Encodable & Sendable)?,
        _ deadline: Duration
    ) async throws -> Reply? {
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
