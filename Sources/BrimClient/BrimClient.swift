import BrimModel
import BrimWire
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
    private let order: Mutex<MasterOrder>

    /// A client that asks these masters, the first that answers before the others.
    ///
    /// - Parameters:
    ///   - masters: URLs such as `http://host:4242`, without a trailing slash; at least one.
    ///   - token: gives the token for the next request; called for each, so it should remember the last one.
    ///   - addresses: where the swarm's addresses are kept, for when no master answers; nil: nowhere.
    ///   - notice: told in words, once, when a slave is read from because no master answers; nil: it is logged.
    /// - Throws: `.invalid` for an empty list.
    public init(
        masters: [String], token: @escaping @Sendable () throws -> String, logger: Logger,
        addresses: AddressBook? = .usual, notice: (@Sendable (String) -> Void)? = nil
    ) throws {
        guard !masters.isEmpty else {
            throw BrimError(.invalid, "no master is named", advice: "Name one with --master URL or BRIM_MASTER")
        }
        self.peer = PeerClient(logger: logger)
        self.token = token
        self.logger = logger
        self.order = Mutex(MasterOrder(masters))
        offline = OfflineReads(
            masters: masters, book: addresses, notice: notice ?? { logger.notice("\($0)") }, logger: logger)
    }

    /// A client with all rights, for those who know the swarm's password.
    ///
    /// - Throws: `.invalid` for an empty list of masters or an empty password.
    public convenience init(
        masters: [String], password: String, logger: Logger, addresses: AddressBook? = .usual,
        notice: (@Sendable (String) -> Void)? = nil
    ) throws {
        let tokens = AdminTokens(keys: try SwarmKeys(password: password))
        try self.init(
            masters: masters, token: { try tokens.current() }, logger: logger, addresses: addresses, notice: notice)
    }

    /// Closes all connections; nothing may be asked afterwards.
    public func shutdown() async { await peer.shutdown() }
}

// MARK: - Asking a master

/// Whether a request may be sent a second time, to this or another master, when the first got no answer.
enum Repetition: Sendable {
    /// Asking twice has the effect of asking once.
    case safe
    /// A second request could fail or do more than the first.
    case unsafe
}

extension BrimClient {
    /// No further round over the masters begins later than this after the first.
    private static let patience = Duration.seconds(4)

    /// For requests that go through whole trees.
    static let treeDeadline = Duration.seconds(600)

    /// Asks the masters in turn until one answers; a refusal is an answer, `.unavailable` and `.timeout` are not. Reads
    /// that none answers are answered by a slave.
    func ask<Reply: Decodable & Sendable>(
        _ method: HTTPMethod, _ route: String, body: (any Encodable & Sendable)? = nil,
        repetition: Repetition = .safe, deadline: Duration = .seconds(10), as type: Reply.Type = Reply.self
    ) async throws -> Reply {
        switch repetition {
        case .safe:
            let isRead = OfflineReads.isRead(method, route)
            if isRead, let reply: Reply = try await askSlave(method, route, body: body, deadline: deadline) {
                return reply
            }
            do {
                return try await askEach(rounds: 3) { master in
                    // A slave among the masters is to answer only when no master does.
                    let reply = try await self.peer.call(
                        method, master + route, headers: isRead ? [("cache-control", "no-cache")] : [], body: body,
                        token: self.token(), deadline: deadline, as: type)
                    await self.learnAddresses(from: master)
                    return reply
                }
            } catch let error as BrimError where isRead && (error.code == .unavailable || error.code == .timeout) {
                return try await askSlaves(method, route, body: body, deadline: deadline, insteadOf: error)
            }
        case .unsafe:
            let master = try await readyMaster()
            return try await peer.call(
                method, master + route, body: body, token: token(), deadline: deadline, as: type)
        }
    }

    /// The master for a request that may be sent only once: with several, one that answers right now.
    private func readyMaster() async throws -> String {
        let masters = order.withLock { $0.inTurn }
        guard masters.count > 1 else { return masters[0] }
        return try await askEach(rounds: 1) { master in
            let reply = try await self.peer.download(master + "/readyz", headers: [], token: nil, idle: .seconds(3))
            for try await _ in reply.body {}
            return master
        }
    }

    // `attempt` escapes and is Sendable although it need not: the optimizer of Swift 6.3 crashes on the other form.
    private func askEach<Reply: Sendable>(
        rounds: Int, _ attempt: @escaping @Sendable (String) async throws -> Reply
    ) async throws -> Reply {
        var failure = BrimError(.unavailable, "no master answers")
        let began = ContinuousClock.now
        for round in 0..<rounds where round == 0 || ContinuousClock.now - began < Self.patience {
            if round > 0 { try await Task.sleep(for: .milliseconds(200 << (2 * (round - 1)))) }
            for master in order.withLock({ $0.inTurn }) {
                do {
                    let reply = try await attempt(master)
                    order.withLock { $0.answered(master) }
                    return reply
                } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
                    logger.debug("A master did not answer", metadata: ["url": "\(master)", "error": "\(error)"])
                    failure = error
                }
            }
            if failure.code == .timeout { break }
        }
        if failure.advice == nil {
            failure.advice = "See that a master runs there, or name another with --master URL or BRIM_MASTER"
        }
        throw failure
    }
}

/// In which order masters are asked: the one that answered last comes first.
struct MasterOrder: Sendable {
    private(set) var inTurn: [String]

    init(_ masters: [String]) { inTurn = masters }

    mutating func answered(_ master: String) {
        guard let index = inTurn.firstIndex(of: master), index > 0 else { return }
        inTurn = Array(inTurn[index...] + inTurn[..<index])
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
