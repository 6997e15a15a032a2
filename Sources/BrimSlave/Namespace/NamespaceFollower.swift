import BrimModel
import BrimWire
import Foundation
import GRDB
import Logging
import ServiceLifecycle

/// Keeps this slave's copy of the namespace up to date: takes a snapshot where there is none, then follows a master's
/// changes.
final class NamespaceFollower: BackgroundLoop {
    let worker = Worker("namespace replica", unit: "changes")

    /// A master that says nothing for so long is left.
    private static let idle = Duration.seconds(10)
    /// Other servers that are asked which masters there are, each time that a master fails.
    private static let othersAsked = 3
    /// How often the time is written down while nothing changes.
    private static let notePace = Duration.seconds(10)

    private let node: SlaveNode
    private let replica: NamespaceReplica
    private let joined: Latch<ServerName>

    /// `joined` is set when this server is known to be of the swarm whose masters it was given.
    init(node: SlaveNode, replica: NamespaceReplica, joined: Latch<ServerName>) {
        self.node = node
        self.replica = replica
        self.joined = joined
    }

    /// The copy does not lead to what masters have now: it is made anew.
    private struct Gone: Error { var why: String }

    func run() async throws {
        await cancelWhenGracefulShutdown { await self.followMasters() }
    }

    private func followMasters() async {
        worker.waits(for: "the first join")
        do {
            _ = try await joined.get()
        } catch {
            // This server ends, this loop when it is told to.
            return await untilCancelled()
        }
        var backoff = Backoff()
        var turn = 0
        while !Task.isCancelled {
            let began = ContinuousClock.now
            let masters = node.masters.known
            let master = masters[turn % max(1, masters.count)]
            do {
                try await follow(master)
            } catch {
                if Task.isCancelled { return }
                worker.failed(error)
                await judge(error, of: master)
                if !(error is Gone) {
                    turn += 1
                    await askOtherServers()
                }
            }
            if ContinuousClock.now - began > .seconds(30) { backoff = Backoff() }
            try? await Task.sleep(for: backoff.next())
        }
    }

    /// Asks other servers which masters there are: those that this one knows may all be gone for good.
    private func askOtherServers() async {
        let swarm = node.directory.identity.swarm
        let others = (replica.swarm?.servers ?? []).filter { $0.name != node.name && $0.state != .down }
        for server in others.shuffled().prefix(Self.othersAsked) {
            do {
                let told = try await node.peers.call(
                    .GET, "http://\(server.address)/v1/swarm", token: try token(), deadline: .seconds(2),
                    as: SwarmReply.self)
                if told.swarm == swarm { node.masters.learn(more: told.masters) }
            } catch {
                node.logger.debug("a server does not answer", metadata: ["server.name": "\(server.name)"])
            }
        }
    }

    private func untilCancelled() async {
        while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
    }

    /// Makes the copy anew where that helps.
    private func judge(_ error: any Error, of master: String) async {
        do {
            switch error {
            case let gone as Gone:
                node.logger.notice("the namespace is copied anew", metadata: ["reason": "\(gone.why)"])
                _ = try await begin()
            case let error as DatabaseError where [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode):
                node.logger.error("the copy of the namespace is damaged and made anew", metadata: ["error": "\(error)"])
                _ = try await begin()
            default:
                node.logger.debug("changes cannot be followed", metadata: ["master": "\(master)", "error": "\(error)"])
            }
        } catch {
            node.logger.error("the namespace cannot be copied", metadata: ["error": "\(error)"])
        }
    }

    private func begin() async throws -> ReplicaDatabase {
        let (replica, server) = (replica, node.name)
        let scope: ReplicaScope = node.configuration.namespace == .own ? .own : .full
        return try await node.store.io.run { try replica.begin(scope: scope, server: server) }
    }

    // MARK: One master

    /// Ends when the master ends its changes.
    private func follow(_ master: String) async throws {
        try await meet(master)
        let copy = try await copyToFollow(master)
        guard let position = copy.progress.position else { throw Gone(why: "it has no position") }
        var listening = Listening(copy: copy)
        let reply = try await node.peers.download(
            "\(master)/v1/changes?after=\(PercentEncoding.encode(position))", headers: [], token: try token(),
            idle: Self.idle)
        var events = ServerSentEvents()
        for try await bytes in reply.body {
            for event in try events.take(bytes) { try await take(event, &listening) }
        }
    }

    private func token() throws -> String { try node.configuration.keys.nodeToken(name: node.name.rawValue) }

    /// Learns where the swarm is. Throws `.conflict` for a master of another swarm.
    private func meet(_ master: String) async throws {
        let swarm = try await node.peers.call(
            .GET, "\(master)/v1/swarm", token: try token(), deadline: .seconds(5), as: SwarmReply.self)
        guard swarm.swarm == node.directory.identity.swarm else {
            throw BrimError(.conflict, "\(master) is a master of another swarm")
        }
        replica.swarm = swarm
    }

    /// The copy that goes on, made where there is none, or where it is of another kind than is wanted.
    private func copyToFollow(_ master: String) async throws -> ReplicaDatabase {
        let setting = node.configuration.namespace
        var copy = replica.writing
        if let found = copy?.progress, found.scope == .own, setting == .full || found.server != node.name { copy = nil }
        let current: ReplicaDatabase
        if let copy { current = copy } else { current = try await begin() }
        if setting == .own, current.progress.scope == .full { try await current.keepOwn() }
        try await completeSnapshot(of: current, from: master)
        return current
    }

    /// Fetches the pages that are missing: those there are outlive a restart, and are as good from any master.
    private func completeSnapshot(of copy: ReplicaDatabase, from master: String) async throws {
        while !copy.progress.hasSnapshot {
            try Task.checkCancellation()
            worker.begins("copies the namespace: \(copy.progress.entries) entries so far")
            let after = copy.progress.after.map { "after=\($0)&" } ?? ""
            let page = try await node.peers.call(
                .GET, "\(master)/v1/snapshot?\(after)limit=\(Limits.pageEntries)", token: try token(),
                deadline: .seconds(30), as: SnapshotReply.self)
            // The changes since the first page complete it: a page must not be from before them.
            if let begin = copy.progress.position, page.position.utf8.lexicographicallyPrecedes(begin.utf8) {
                throw Gone(why: "the database is not as far as it was when the copy was begun")
            }
            try await copy.enter(page)
            worker.did(page.entries.count)
            try await limit(copy)
        }
    }

    /// Above the limit `auto` keeps only what is this server's own.
    private func limit(_ copy: ReplicaDatabase) async throws {
        let progress = copy.progress
        guard node.configuration.namespace == .auto, progress.scope == .full,
            progress.entries > node.configuration.namespaceLimit
        else { return }
        node.logger.notice(
            "the namespace is too large to be copied whole: only this server's own files are kept from now on",
            metadata: ["entries": "\(progress.entries)"])
        try await copy.keepOwn()
    }

    // MARK: Events

    private struct Listening {
        let copy: ReplicaDatabase
        /// When the snapshot was whole at the latest: a copy as of then is consistent.
        let began = ContinuousClock.now
        var delays = FeedDelays()
        var noted = ContinuousClock.now

        init(copy: ReplicaDatabase) { self.copy = copy }
    }

    private func take(_ event: ServerSentEvent, _ listening: inout Listening) async throws {
        switch FeedEvent(rawValue: event.event) {
        case .changes:
            let changes = try decode([FeedChange].self, event)
            try await listening.copy.apply(changes, position: event.id)
            worker.did(changes.count)
            try await limit(listening.copy)
        case .alive:
            let alive = try decode(FeedAlive.self, event)
            let delay = listening.delays.delay(at: .seconds(alive.at), heard: .now - listening.began)
            guard let age = alive.age else { return worker.begins("catches up") }
            try await note(.seconds(max(0, age)) + delay, event.id, &listening)
        case .swarm:
            let swarm = try decode(SwarmReply.self, event)
            replica.swarm = swarm
            try await listening.copy.store(swarm)
        case .gone:
            throw Gone(why: "the masters do not know the changes since it was made")
        case nil: break
        }
    }

    /// All changes up to a moment, that long ago, are applied.
    private func note(_ age: Duration, _ position: String?, _ listening: inout Listening) async throws {
        let copy = listening.copy
        let isReady = copy.progress.isReady || .now - age >= listening.began
        let isDue = ContinuousClock.now - listening.noted >= Self.notePace
        try await copy.note(
            asOf: Timestamp.now.milliseconds - age.wholeMilliseconds, position: position, isReady: isReady,
            isStored: isDue)
        if isDue { listening.noted = .now }
        if isReady { replica.serve(copy) }
        worker.rests()
    }

    private func decode<Value: Decodable>(_ type: Value.Type, _ event: ServerSentEvent) throws -> Value {
        do {
            return try BrimJSON.decoder().decode(type, from: Data(event.data.utf8))
        } catch {
            throw BrimError(.internal, "the change feed is not understood: \(error)", advice: "Compare versions")
        }
    }
}

/// How long what a master says is on its way, or waits here, compared with what came fastest: clocks need not agree.
struct FeedDelays {
    private var least: Duration?

    /// Of what was said `at` after the master had begun to speak, and `heard` after this server began to listen.
    mutating func delay(at: Duration, heard: Duration) -> Duration {
        let difference = heard - at
        let fastest = min(least ?? difference, difference)
        least = fastest
        return difference - fastest
    }
}
