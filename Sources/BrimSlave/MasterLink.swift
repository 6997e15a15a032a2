import BrimModel
import BrimWire
import Logging
import NIOHTTP1
import Synchronization

/// Calls to the masters: those it was told of at the start, and those that masters tell of. The one that answered last is
/// asked first, the others when it does not answer; one that does not lead is believed when it says who does.
final class MasterLink: Sendable {
    private struct State {
        /// The one that answered last.
        var current: String?
        var learned: [String] = []
        /// When masters failed to answer.
        var failed: [String: ContinuousClock.Instant] = [:]
    }
    /// A master that did not answer is asked last for so long.
    private static let shunning = Duration.seconds(5)

    private let masters: [String]
    private let peers: PeerClient
    private let keys: SwarmKeys
    private let name: @Sendable () -> ServerName
    private let logger: Logger
    private let state = Mutex(State())

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
    var preferred: String? { state.withLock { $0.current } ?? masters.first }

    /// Whether another one could be asked when one does not answer.
    var knowsSeveral: Bool { state.withLock { masters.count + $0.learned.count > 1 } }

    /// All that are known, the one that answered last first.
    var known: [String] { Array(order(first: nil)) }

    /// Takes in which masters there are; nil: nothing new.
    func learn(_ urls: [String]?) {
        guard let urls else { return }
        state.withLock { $0.learned = LocalAddress.newMasters(urls, besides: masters) }
    }

    /// Takes in masters of which somebody knew who may not know all.
    func learn(more urls: [String]) {
        state.withLock { state in
            let new = urls.filter { !state.learned.contains($0) }
            state.learned = LocalAddress.newMasters(state.learned + new, besides: masters)
        }
    }

    /// `POST /v1/node/ROUTE` to `first` (a URL), then to the others until one answers. Throws what the one that answered
    /// refuses with, else the last `.unavailable` or `.timeout`.
    func call<Reply: Decodable & Sendable>(
        _ route: String, _ body: some Encodable & Sendable, first: String? = nil, deadline: Duration = .seconds(10),
        as: Reply.Type
    ) async throws -> Reply {
        var failure = BrimError(.unavailable, "no master is configured", advice: "Name one with --master")
        var turn = order(first: first)
        var asked: Set<String> = []
        while let url = turn.popFirst() {
            guard asked.insert(url).inserted else { continue }
            do {
                let token = try keys.nodeToken(name: name().rawValue)
                let reply = try await peers.call(
                    .POST, "\(url)/v1/node/\(route)", body: body, token: token, deadline: deadline, as: Reply.self)
                answered(url)
                return reply
            } catch let error as BrimError where error.code == .notLeader {
                failure = BrimError(.unavailable, "the leading master does not answer", advice: "Try again in a moment")
                if let leader = error.leader { turn.insert(leader, at: turn.startIndex) }
            } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
                logger.debug(
                    "master does not answer", metadata: ["master": "\(url)", "route": "\(route)", "error": "\(error)"])
                failure = error
                state.withLock { $0.failed[url] = .now }
            }
        }
        throw failure
    }

    private func order(first: String?) -> ArraySlice<String> {
        let now = ContinuousClock.now
        return state.withLock { state in
            state.failed = state.failed.filter { now - $0.value < Self.shunning }
            var urls: [String] = []
            for url in [first, state.current].compactMap({ $0 }) + masters + state.learned
            where !url.isEmpty && !urls.contains(url) { urls.append(url) }
            return (urls.filter { state.failed[$0] == nil } + urls.filter { state.failed[$0] != nil })[...]
        }
    }

    private func answered(_ url: String) {
        state.withLock { state in
            state.current = url
            state.failed[url] = nil
        }
    }
}

extension BrimError {
    /// Whether a request that failed so may have been carried out all the same, or may be at another time: nothing may
    /// be concluded from it.
    var isUndecided: Bool {
        switch code {
        case .unavailable, .timeout, .internal, .io, .corrupt, .unauthorized, .denied, .notLeader: true
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
