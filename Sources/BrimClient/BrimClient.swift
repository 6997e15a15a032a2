import BrimModel
import BrimWire
import Foundation
import Logging
import NIOHTTP1
import Synchronization

/// A client of one swarm: the namespace from any of its masters, the bytes straight from and to its slaves.
///
/// It may be used from many tasks at once. Every failure is a `BrimError` (or a `CancellationError`). Call
/// ``shutdown()`` when done.
///
/// ```swift
/// let client = try BrimClient(masters: ["http://127.0.0.1:4242"], password: password, logger: logger)
/// try await client.put(BytesSource("hello"), to: BrimPath(parsing: "/hello.txt"))
/// ```
public final class BrimClient: Sendable {
    let peer: PeerClient
    let token: @Sendable () throws -> String
    let logger: Logger
    let offline: OfflineReads
    private let swarm: KnownSwarm
    private let readsOffline: Bool

    /// A client that asks these masters, the first that answers before the others.
    ///
    /// - Parameters:
    ///   - masters: URLs such as `http://host:4242`, without a trailing slash; at least one. Slaves may be among them, which
    ///     answer when no master does. Other masters and slaves are learned from the masters.
    ///   - memory: where that is kept for the next time; nil: nowhere.
    ///   - readsOffline: whether listings, facts and bytes of files are read from slaves, as they knew them last, while no
    ///     master answers. `age` in what comes says so.
    ///   - token: gives the token for the next request; called for each, so it should remember the last one.
    ///   - notice: told in words, once, when a slave is read from because no master answers; nil: it is logged.
    /// - Throws: `.invalid` for an empty list.
    public init(
        masters: [String], memory: SwarmMemory? = .usual, readsOffline: Bool = true,
        token: @escaping @Sendable () throws -> String, logger: Logger, notice: (@Sendable (String) -> Void)? = nil
    ) throws {
        guard !masters.isEmpty else {
            throw BrimError(.invalid, "no master is named", advice: "Name one with --master URL or BRIM_MASTER")
        }
        self.peer = PeerClient(logger: logger)
        self.token = token
        self.logger = logger
        self.readsOffline = readsOffline
        swarm = KnownSwarm(masters, memory: memory)
        offline = OfflineReads(swarm: swarm, notice: notice ?? { logger.notice("\($0)") }, logger: logger)
    }

    /// A client with all rights, for those who know the swarm's password.
    ///
    /// - Throws: `.invalid` for an empty list of masters or an empty password.
    public convenience init(
        masters: [String], memory: SwarmMemory? = .usual, readsOffline: Bool = true, password: String, logger: Logger,
        notice: (@Sendable (String) -> Void)? = nil
    ) throws {
        let tokens = AdminTokens(keys: try SwarmKeys(password: password))
        try self.init(
            masters: masters, memory: memory, readsOffline: readsOffline, token: { try tokens.current() },
            logger: logger, notice: notice)
    }

    /// Closes all connections; nothing may be asked afterwards.
    public func shutdown() async { await peer.shutdown() }
}

// MARK: - Asking a master

/// How it comes that a request may be sent a second time, to this or another master, when the first got no answer.
enum Repetition: Sendable {
    /// Asking twice has the effect of asking once.
    case safe
    /// A second request could fail or do more than the first, so it carries an id by which masters know it again.
    case named
    /// It cannot be repeated.
    case unsafe
}

extension BrimClient {
    /// What is to be answered within that long does no work that takes long.
    private static let quick = Duration.seconds(10)
    /// How long all masters together have for such an answer: who asks has one, or knows that there is none, in less than
    /// ten seconds. Masters themselves wait for a leader for eight. What a slave can answer waits less long.
    private static let patience = (any: Duration.milliseconds(8500), read: Duration.seconds(6))
    /// No further round over the masters begins later than this after the first, but for what took long before it failed.
    private static let repeating = Duration.seconds(4)

    /// A slave among the masters is to answer only when no master does.
    private static let onlyMasters = [("cache-control", "no-cache")]

    /// For requests that go through whole trees.
    static let treeDeadline = Duration.seconds(600)

    /// Asks the masters in turn until one answers; a refusal is an answer, `.unavailable` and `.timeout` are not. Reads
    /// that none answers are answered by a slave.
    func ask<Reply: Decodable & Sendable>(
        _ method: HTTPMethod, _ route: String, body: (any Encodable & Sendable)? = nil,
        repetition: Repetition = .safe, deadline: Duration = .seconds(10), as type: Reply.Type = Reply.self
    ) async throws -> Reply {
        switch repetition {
        case .safe where readsOffline && OfflineReads.isRead(method, route):
            return try await askReaders(method, route, body: body, deadline: deadline) {
                try await self.askMasters(
                    method, route, headers: Self.onlyMasters, body: body, deadline: min(deadline, Self.patience.read))
            }
        case .safe:
            return try await askMasters(method, route, headers: Self.onlyMasters, body: body, deadline: deadline)
        case .named:
            let headers = [(BrimHeader.brimRequest.rawValue, UUID().uuidString.lowercased())]
            return try await askMasters(method, route, headers: headers, body: body, deadline: deadline)
        case .unsafe:
            let master = try await readyMaster()
            return try await peer.call(
                method, master + route, body: body, token: token(), deadline: deadline, as: type)
        }
    }

    private func askMasters<Reply: Decodable & Sendable>(
        _ method: HTTPMethod, _ route: String, headers: [(String, String)], body: (any Encodable & Sendable)?,
        deadline: Duration
    ) async throws -> Reply {
        let isQuick = deadline <= Self.quick
        // One that takes nothing in would be noticed only when the work should be done.
        if !isQuick { _ = try await livingMaster() }
        let end = ContinuousClock.now + min(deadline, Self.patience.any)
        return try await askEach(rounds: 3, isQuick: isQuick) { master in
            let deadline = isQuick ? max(.milliseconds(1), end - .now) : deadline
            return try await self.peer.call(
                method, master + route, headers: headers, body: body, token: self.token(), deadline: deadline,
                as: Reply.self)
        }
    }

    /// The master for a request that may be sent only once: with several, one that answers right now.
    private func readyMaster() async throws -> String {
        let masters = swarm.masters
        guard masters.count > 1 else { return try await livingMaster() }
        return try await askEach(rounds: 1, isQuick: true) { master in
            let reply = try await self.peer.download(master + "/readyz", headers: [], token: nil, idle: .seconds(3))
            for try await _ in reply.body {}
            // A slave is ready too, but refuses this.
            return try await self.greet(master)
        }
    }

    private func livingMaster() async throws -> String {
        try await askEach(rounds: 3, isQuick: true) { try await self.greet($0) }
    }

    /// Asks for what each master knows by itself.
    private func greet(_ master: String) async throws -> String {
        _ = try await peer.call(
            .GET, master + "/v1/masters", token: token(), deadline: Self.patience.read, as: MastersReply.self)
        return master
    }

    // `attempt` escapes and is Sendable although it need not: the optimizer of Swift 6.3 crashes on the other form.
    private func askEach<Reply: Sendable>(
        rounds: Int, isQuick: Bool, _ attempt: @escaping @Sendable (String) async throws -> Reply
    ) async throws -> Reply {
        var failure = BrimError(.unavailable, "no master answers")
        let began = ContinuousClock.now
        for round in 0..<rounds {
            if round > 0 {
                if (Self.repeating...Self.quick).contains(.now - began) { break }
                try await Task.sleep(for: .milliseconds(200 << (2 * (round - 1))))
            }
            do {
                let (reply, master) = try await Inquiry(
                    masters: swarm.masters, isQuick: isQuick, logger: logger
                ).run(attempt)
                swarm.answered(master)
                offline.end()
                await learnAddresses(from: master)
                return reply
            } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
                failure = error
                if failure.code == .timeout { break }
            } catch let refusal as BrimError {
                offline.end()
                throw refusal
            }
        }
        if failure.advice == nil {
            failure.advice = "See that a master runs there, or name another with --master URL or BRIM_MASTER"
        }
        throw failure
    }

    /// Learns where masters and slaves are, now and then: when the masters it was told of are gone, the others still serve,
    /// and when all are, slaves answer readers.
    private func learnAddresses(from master: String) async {
        guard swarm.isDue() else { return }
        do {
            let reply = try await peer.call(
                .GET, master + "/v1/swarm", token: token(), deadline: .seconds(2), as: SwarmReply.self)
            let addresses = SwarmAddresses(
                masters: reply.masters,
                slaves: reply.servers.filter { $0.state != .down }.map { "http://\($0.address)" })
            if !swarm.learn(addresses) { logger.debug("The swarm's addresses cannot be kept") }
        } catch {
            logger.debug("The swarm's addresses are not known", metadata: ["url": "\(master)", "error": "\(error)"])
        }
    }
}

/// Admin tokens, made anew well before they expire.
final class AdminTokens: Sendable {
    private static let lifetimeSeconds: Int64 = 3600
    private let keys: SwarmKeys
    private let last = Mutex<(token: String, expires: Int64)?>(nil)

    init(keys: SwarmKeys) { self.keys = keys }

    func current() throws -> String {
        let now = Timestamp.now.seconds
        return try last.withLock { last in
            if let last, last.expires - now > Self.lifetimeSeconds / 2 { return last.token }
            let claims = TokenClaims.admin(subject: "brim", lifetime: .seconds(Self.lifetimeSeconds))
            let token = try keys.sign(claims)
            last = (token, claims.expires)
            return token
        }
    }
}
