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
    private let masters: KnownMasters

    /// A client that asks these masters, the first that answers before the others.
    ///
    /// - Parameters:
    ///   - masters: URLs such as `http://host:4242`, without a trailing slash; at least one. Others are learned from them.
    ///   - memory: where masters that were learned of are kept for the next time; nil: nowhere.
    ///   - token: gives the token for the next request; called for each, so it should remember the last one.
    /// - Throws: `.invalid` for an empty list.
    public init(
        masters: [String], memory: MasterMemory? = nil, token: @escaping @Sendable () throws -> String, logger: Logger
    ) throws {
        guard !masters.isEmpty else {
            throw BrimError(.invalid, "no master is named", advice: "Name one with --master URL or BRIM_MASTER")
        }
        self.peer = PeerClient(logger: logger)
        self.token = token
        self.logger = logger
        self.masters = KnownMasters(masters, memory: memory)
    }

    /// A client with all rights, for those who know the swarm's password.
    ///
    /// - Throws: `.invalid` for an empty list of masters or an empty password.
    public convenience init(
        masters: [String], memory: MasterMemory? = nil, password: String, logger: Logger
    ) throws {
        let tokens = AdminTokens(keys: try SwarmKeys(password: password))
        try self.init(masters: masters, memory: memory, token: { try tokens.current() }, logger: logger)
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

    /// For requests that go through whole trees.
    static let treeDeadline = Duration.seconds(600)

    /// Asks the masters in turn until one answers; a refusal is an answer, `.unavailable` and `.timeout` are not.
    func ask<Reply: Decodable & Sendable>(
        _ method: HTTPMethod, _ route: String, body: (any Encodable & Sendable)? = nil,
        repetition: Repetition = .safe, deadline: Duration = .seconds(10), as type: Reply.Type = Reply.self
    ) async throws -> Reply {
        switch repetition {
        case .safe, .named:
            let headers: [(String, String)] =
                repetition == .named ? [(BrimHeader.brimRequest.rawValue, UUID().uuidString.lowercased())] : []
            return try await askEach(rounds: 3, isQuick: deadline <= Self.quick) { master in
                try await self.peer.call(
                    method, master + route, headers: headers, body: body, token: self.token(), deadline: deadline,
                    as: type)
            }
        case .unsafe:
            let master = try await readyMaster()
            return try await peer.call(
                method, master + route, body: body, token: token(), deadline: deadline, as: type)
        }
    }

    /// The master for a request that may be sent only once: with several, one that answers right now.
    private func readyMaster() async throws -> String {
        let masters = masters.inTurn
        guard masters.count > 1 else { return masters[0] }
        return try await askEach(rounds: 1, isQuick: true) { master in
            let reply = try await self.peer.download(master + "/readyz", headers: [], token: nil, idle: .seconds(3))
            for try await _ in reply.body {}
            return master
        }
    }

    // `attempt` escapes and is Sendable although it need not: the optimizer of Swift 6.3 crashes on the other form.
    private func askEach<Reply: Sendable>(
        rounds: Int, isQuick: Bool, _ attempt: @escaping @Sendable (String) async throws -> Reply
    ) async throws -> Reply {
        var failure = BrimError(.unavailable, "no master answers")
        for round in 0..<rounds {
            if round > 0 { try await Task.sleep(for: .milliseconds(200 << (2 * (round - 1)))) }
            do {
                let (reply, master) = try await Inquiry(
                    masters: masters.inTurn, isQuick: isQuick, logger: logger
                ).run(attempt)
                masters.answered(master)
                await learnMasters(from: master)
                return reply
            } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
                failure = error
                if failure.code == .timeout { break }
            }
        }
        if failure.advice == nil {
            failure.advice = "See that a master runs there, or name another with --master URL or BRIM_MASTER"
        }
        throw failure
    }

    /// Learns which masters there are, now and then: when those it was told of are gone, the others still serve.
    private func learnMasters(from master: String) async {
        guard masters.isDue() else { return }
        do {
            let reply = try await peer.call(
                .GET, master + "/v1/masters", token: token(), deadline: .seconds(2), as: MastersReply.self)
            masters.learn(reply.masters.filter(\.live).map(\.url))
        } catch {
            logger.debug("The masters are not known", metadata: ["url": "\(master)", "error": "\(error)"])
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
