import BrimModel
import BrimWire
import Foundation
import Logging
import ServiceLifecycle

/// Keeps this slave's copy of the namespace up to date: takes a snapshot where there is none, then follows a master's
/// changes.
final class NamespaceFollower: BackgroundLoop {
    let worker = Worker("namespace replica", unit: "changes")

    /// A master that says nothing for so long is left.
    private static let idle = Duration.seconds(10)
    /// How often the time is written down while nothing changes.
    private static let notePace = Duration.seconds(10)

    private let node: SlaveNode
    private let replica: NamespaceReplica

    init(node: SlaveNode, replica: NamespaceReplica) {
        self.node = node
        self.replica = replica
    }

    /// A master says that the changes since our position are not to be had.
    private struct Gone: Error {}

    func run() async throws {
        await cancelWhenGracefulShutdown { await self.followMasters() }
    }

    private func followMasters() async {
        var backoff = Backoff()
        var turn = 0
        while !Task.isCancelled {
            // Nobody's name may change after its first join.
            guard node.directory.identity.name != nil else {
                worker.waits(for: "the first join")
                try? await Task.sleep(for: .milliseconds(200))
                continue
            }
            let began = ContinuousClock.now
            let masters = masters
            let master = masters[turn % max(1, masters.count)]
            do {
                try await follow(master)
            } catch is CancellationError {
                return
            } catch is Gone {
                node.logger.info("the namespace is copied anew: the changes since the last copy are not to be had")
            } catch {
                node.logger.debug("changes cannot be followed", metadata: ["master": "\(master)", "error": "\(error)"])
                worker.failed(error)
                turn += 1
            }
            if ContinuousClock.now - began > .seconds(30) { backoff = Backoff() }
            try? await Task.sleep(for: backoff.next())
        }
    }

    /// The one that answered last first.
    private var masters: [String] {
        let all = node.configuration.masters
        guard let preferred = node.masters.preferred else { return all }
        return [preferred] + all.filter { $0 != preferred }
    }

    // MARK: One master

    private func follow(_ master: String) async throws {
        let copy = try await copyToFollow(master)
        guard let position = copy.progress.position else { throw Gone() }
        let reply = try await node.peers.download(
            "\(master)/v1/changes?after=\(PercentEncoding.encode(position))", headers: [], token: try token(),
            idle: Self.idle)
        var listening = Listening(copy: copy, began: Timestamp.now.milliseconds)
        var events = ServerSentEvents()
        for try await bytes in reply.body {
            for event in try events.take(bytes) { try await take(event, &listening) }
        }
        throw BrimError(.unavailable, "\(master) ended its changes")
    }

    private func token() throws -> String { try node.configuration.keys.nodeToken(name: node.name.rawValue) }

    /// The copy that goes on, made where there is none, or where it is of another kind than is wanted.
    private func copyToFollow(_ master: String) async throws -> ReplicaDatabase {
        let setting = node.configuration.namespace
        var copy = replica.writing
        if let found = copy?.progress, found.scope == .own, setting == .full || found.server != node.name { copy = nil }
        let current: ReplicaDatabase
        if let copy {
            current = copy
        } else {
            let (replica, server) = (replica, node.name)
            current = try await node.store.io.run {
                try replica.begin(scope: setting == .own ? .own : .full, server: server)
            }
        }
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
        /// When the snapshot was whole at the latest, in milliseconds since 1970: a copy as of then is consistent.
        let began: Int64
        var noted = ContinuousClock.now
    }

    private func take(_ event: ServerSentEvent, _ listening: inout Listening) async throws {
        switch FeedEvent(rawValue: event.event) {
        case .changes:
            let changes = try decode([FeedChange].self, event)
            try await listening.copy.apply(changes, position: event.id)
            worker.did(changes.count)
            try await limit(listening.copy)
        case .alive:
            guard let age = try decode(FeedAlive.self, event).age else {
                worker.begins("catches up")
                return
            }
            try await note(Timestamp.now.milliseconds - Int64(max(0, age) * 1000), event.id, &listening)
        case .swarm:
            let swarm = try decode(SwarmReply.self, event)
            replica.swarm = swarm
            try await listening.copy.store(swarm)
        case .gone:
            let (replica, server, own) = (replica, node.name, node.configuration.namespace == .own)
            _ = try await node.store.io.run { try replica.begin(scope: own ? .own : .full, server: server) }
            throw Gone()
        case nil: break
        }
    }

    /// All changes up to a moment are applied.
    private func note(_ asOf: Int64, _ position: String?, _ listening: inout Listening) async throws {
        let copy = listening.copy
        let isReady = copy.progress.isReady || asOf >= listening.began
        let isDue = ContinuousClock.now - listening.noted >= Self.notePace
        try await copy.note(asOf: asOf, position: position, isReady: isReady, isStored: isDue)
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
