import BrimModel
import BrimWire
import Foundation
import Logging
import ServiceLifecycle
import Synchronization

/// Keeps this server a member of its swarm: joins, reports what it holds, sends heartbeats, says goodbye.
final class Membership: BackgroundLoop {
    let worker = Worker("heartbeat", unit: "heartbeats")

    private let node: SlaveNode
    private let desk: OrderDesk
    private let reporter: Reporter
    private let scrubber: Scrubber
    private let port: @Sendable () async throws -> Int
    /// The `--quota` given, in bytes.
    private let quotaAsked: Int64
    /// Known from the first join on.
    let joined = Latch<ServerName>()
    private let isMember = Atomic(false)

    init(
        node: SlaveNode, desk: OrderDesk, reporter: Reporter, scrubber: Scrubber, quotaAsked: Int64,
        port: @escaping @Sendable () async throws -> Int
    ) {
        self.node = node
        self.desk = desk
        self.reporter = reporter
        self.scrubber = scrubber
        self.quotaAsked = quotaAsked
        self.port = port
    }

    /// A heartbeat that nobody heard is followed by another as soon as this.
    private static let haste = Duration.seconds(1)

    /// Whether a master knows this server.
    var isJoined: Bool { isMember.load(ordering: .relaxed) }

    func run() async throws {
        let failure = await cancelWhenGracefulShutdown { () -> (any Error)? in
            do {
                try await self.stayMember()
                return nil
            } catch is CancellationError {
                return nil
            } catch {
                return error
            }
        }
        joined.set(.failure(failure ?? BrimError(.unavailable, "the slave is shutting down")))
        if let failure { throw failure }
        await goodbye()
    }

    private func stayMember() async throws {
        let port = try await port()
        while !Task.isCancelled {
            var pace = try await join(port: port)
            reporter.request(anew: true)
            try await beat(&pace)
        }
    }

    /// Sends heartbeats until a master does not know this server any more.
    private func beat(_ pace: inout Duration) async throws {
        var meter = LoadMeter(directory: node.directory.path)
        // Why the last heartbeat was not heard.
        var trouble: BrimError.Code?
        while true {
            // Another master may be about to lead.
            try await Task.sleep(for: trouble == nil ? pace : min(pace, Self.haste))
            let before = node.quota.bytes
            try await node.lookAtDisk()
            let request = HeartbeatRequest(
                name: node.name, id: node.id, usage: node.quota.usage(),
                load: meter.measure(transfers: node.transfers.current), fault: node.health.fault,
                time: .now)
            do {
                let reply = try await node.masters.call(
                    "heartbeat", request, deadline: patience(pace), as: HeartbeatReply.self)
                if trouble != nil { node.logger.info("a master answers again") }
                trouble = nil
                pace = .milliseconds(max(50, reply.heartbeatMilliseconds))
                // A quota that was set meanwhile is newer than this answer.
                if node.quota.bytes == before { try await node.apply(quota: reply.quota) }
                if let scrub = reply.scrub { scrubber.follow(scrub) }
                if let term = reply.term { try await desk.learn(term: term) }
                node.masters.learn(reply.masters)
                if reply.report { reporter.request(anew: false) }
                worker.did(1)
                worker.rests(atMost: pace)
            } catch let error as BrimError where error.code == .notFound {
                node.logger.info("masters do not know this server any more, joining again")
                isMember.store(false, ordering: .relaxed)
                return
            } catch let error as BrimError where error.code == .forgotten {
                throw error
            } catch let error as BrimError {
                worker.failed(error, again: pace)
                if trouble != error.code { node.logger.warning("no master answers", metadata: ["error": "\(error)"]) }
                trouble = error.code
            }
        }
    }

    /// How long a master may take to hear a heartbeat: where there are others, one that is frozen is not waited for long.
    private func patience(_ pace: Duration) -> Duration {
        node.masters.knowsSeveral ? min(.seconds(5), max(.seconds(2), pace)) : .seconds(5)
    }

    /// A master gave orders whose term is over: it may have given copies up here that this server keeps. Who leads now
    /// shall hear of them.
    func refusedOrders() { reporter.request(anew: false) }

    private func goodbye() async {
        guard isJoined else { return }
        do {
            _ = try await node.masters.call("goodbye", node.list([]), deadline: .seconds(2), as: Empty.self)
            node.logger.info("left the swarm", metadata: ["server.name": "\(node.name)"])
        } catch {
            node.logger.debug("goodbye not heard", metadata: ["error": "\(error)"])
        }
    }
}

extension Membership {
    /// Joins, trying until a master answers; answers the pace of heartbeats. Throws when a master refuses for good.
    private func join(port: Int) async throws -> Duration {
        var backoff = Backoff()
        var number = 1
        var lastError: BrimError.Code?
        while true {
            do {
                let reply = try await ask(port: port)
                try await enter(reply)
                return .milliseconds(max(50, reply.heartbeatMilliseconds))
            } catch let error as BrimError where error.code == .exists && mayRename {
                number += 1
                node.name = try HostName.serverName(host: HostName.current, number: number)
            } catch let error as BrimError {
                if let refusal = final(error) { throw refusal }
                worker.failed(error)
                if lastError != error.code {
                    node.logger.warning("cannot join yet", metadata: ["error": "\(error)"])
                    lastError = error.code
                }
                try await Task.sleep(for: backoff.next())
            }
        }
    }

    /// Whether the name was neither given nor used before.
    private var mayRename: Bool { node.configuration.name == nil && node.directory.identity.name == nil }

    /// The error to end with when asking again cannot help. Later on, when this server was a member before, only waiting
    /// is right: it still serves its blobs.
    private func final(_ error: BrimError) -> BrimError? {
        switch error.code {
        case .exists:
            return BrimError(
                .exists, "the server name \(node.name) is used by another data directory: \(error.message)",
                advice: "Choose another --name, or forget the other server first", retryable: false)
        case .forgotten: return error
        case .unauthorized, .denied, .invalid, .unsupported: return joined.isSet ? nil : error
        default: return nil
        }
    }

    private func ask(port: Int) async throws -> JoinReply {
        let configuration = node.configuration
        let request = JoinRequest(
            name: node.name, id: node.id, swarm: node.directory.identity.swarm, address: try await address(port),
            zone: configuration.zone ?? HostName.current, version: configuration.version, quota: quotaAsked,
            usage: node.quota.usage())
        return try await node.masters.call("join", request, as: JoinReply.self)
    }

    private func enter(_ reply: JoinReply) async throws {
        if let swarm = node.directory.identity.swarm, swarm != reply.swarm {
            throw BrimError(
                .invalid, "the data in \(node.directory.path) belongs to another swarm",
                advice: "Name that swarm's masters, or choose another --data")
        }
        let name = node.name
        let asked = quotaAsked
        try await node.remember {
            $0.swarm = reply.swarm
            $0.name = name
            $0.quotaAsked = asked
        }
        try await node.apply(quota: reply.quota)
        try await desk.learn(term: reply.term)
        node.masters.learn(reply.masters)
        isMember.store(true, ordering: .relaxed)
        joined.set(.success(name))
        let node = node
        node.outbox.open({ node.list($0) }, lost: { node.lostList($0, damage: $1) })
        node.logger.info(
            "joined", metadata: ["server.name": "\(name)", "quota": "\(reply.quota)", "term": "\(reply.term)"])
    }

    /// Where peers and clients find this server.
    private func address(_ port: Int) async throws -> String {
        if let advertised = node.configuration.advertise {
            return HostPort(host: advertised.host, port: advertised.port > 0 ? advertised.port : port).description
        }
        if let host = node.configuration.listen?.host, host != "0.0.0.0", host != "::" {
            return HostPort(host: host, port: port).description
        }
        let masters = ([node.masters.preferred].compactMap { $0 } + node.configuration.masters).compactMap {
            try? HostPort(
                parsing: String($0.drop { $0 != "/" }.drop { $0 == "/" }), defaultHost: "localhost",
                defaultPort: defaultMasterPort)
        }
        let host = try await node.store.io.run {
            masters.lazy.compactMap { LocalAddress.reaching($0.host, port: $0.port) }.first
        }
        guard let host else {
            throw BrimError(
                .unavailable, "no way leads to a master, so this server's own address is not known",
                advice: "Name it with --advertise")
        }
        return HostPort(host: host, port: port).description
    }
}
