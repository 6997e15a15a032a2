import BrimModel
import BrimWire
import Logging
import NIOHTTP1
import Synchronization

/// Calls to the masters: the one that answered last is asked first, the others when it does not answer.
final class MasterLink: Sendable {
    private let masters: [String]
    private let peers: PeerClient
    private let keys: SwarmKeys
    private let name: @Sendable () -> ServerName
    private let logger: Logger
    private let current = Mutex(0)

    init(
        masters: [String], peers: PeerClient, keys: SwarmKeys, logger: Logger,
        name: @escaping @Sendable () -> ServerName
    ) {
        self.masters = masters
        self.peers = peers
        self.keys = keys
        self.logger = logger
        self.name = name
    }

    /// The master that answered last.
    var preferred: String? { current.withLock { masters.indices.contains($0) ? masters[$0] : nil } }

    /// `POST /v1/node/ROUTE` to `first` (a URL), then to the others until one answers. Throws what the one that answered
    /// refuses with, else the last `.unavailable` or `.timeout`.
    func call<Reply: Decodable & Sendable>(
        _ route: String, _ body: some Encodable & Sendable, first: String? = nil, deadline: Duration = .seconds(10),
        as: Reply.Type
    ) async throws -> Reply {
        var failure = BrimError(.unavailable, "no master is configured", advice: "Name one with --master")
        for url in order(first: first) {
            do {
                let token = try keys.nodeToken(name: name().rawValue)
                let reply = try await peers.call(
                    .POST, "\(url)/v1/node/\(route)", body: body, token: token, deadline: deadline, as: Reply.self)
                prefer(url)
                return reply
            } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
                logger.debug(
                    "master does not answer", metadata: ["master": "\(url)", "route": "\(route)", "error": "\(error)"])
                failure = error
            }
        }
        throw failure
    }

    private func order(first: String?) -> [String] {
        let start = current.withLock { $0 }
        let rotated = masters.indices.map { masters[(start + $0) % masters.count] }
        guard let first, !first.isEmpty else { return rotated }
        return [first] + rotated.filter { $0 != first }
    }

    private func prefer(_ url: String) {
        guard let index = masters.firstIndex(of: url) else { return }
        current.withLock { $0 = index }
    }
}

extension BrimError {
    /// Whether a request that failed so may have been carried out all the same, or may be at another time: nothing may
    /// be concluded from it.
    var isUndecided: Bool {
        switch code {
        case .unavailable, .timeout, .internal, .io, .corrupt, .unauthorized, .denied: true
        default: false
        }
    }
}

/// Pauses that grow, with some chance in them so that many do not ask at once.
struct Backoff {
    private var milliseconds: Int64
    private let most: Int64

    init(from first: Duration = .milliseconds(200), to most: Duration = .seconds(5)) {
        milliseconds = first.wholeMilliseconds
        self.most = most.wholeMilliseconds
    }

    /// The next pause.
    mutating func next() -> Duration {
        defer { milliseconds = min(most, milliseconds * 2) }
        return .milliseconds(Int64.random(in: milliseconds * 3 / 4...milliseconds))
    }
}
