import BrimModel
import BrimWire
import Foundation
import Hummingbird
import NIOCore

@testable import BrimSlave

/// A small master: says yes, remembers what it was told, and can be made to say something else.
final class FakeMaster: Sendable {
    struct State: Sendable {
        var joins: [JoinRequest] = []
        var heartbeats = 0
        var commits: [CommitRequest.Item] = []
        var completions: [CompletionsRequest.Item] = []
        var lost: [BlobID] = []
        /// By blob, in words.
        var damage: [String: String] = [:]
        var surplus: [BlobID: Int] = [:]
        /// Blobs whose surplus was asked for, in the order asked.
        var asked: [[BlobID]] = []
        var scrub: ScrubPolicy?
        var deleted: [BlobID] = []
        var pending: [BlobID] = []
        var reports: [ReportPage] = []
        var rooms: [Int64] = []
        var goodbyes: [ServerName] = []
        var quotas: [ServerName: Int64] = [:]
        var taken: Set<ServerName> = []
        var versions: [BlobID: Int64] = [:]
        // What to answer in place of yes.
        var commitError: BrimError?
        var joinError: BrimError?
        var confirmPending = true
        var discard = false
        /// Before completions are answered, with what is decided already.
        var beforeCompletion: (@Sendable (CompletionsRequest.Item) async throws -> Void)?
        var makeRoom: (@Sendable (RoomRequest) async throws -> Void)?
        var check: [BlobID] = []
    }

    let keys: SwarmKeys
    let server: BrimServer
    private let box: MutexBox<State>
    var state: State { box.current }
    func set(_ change: (inout State) -> Void) { box.withLock { change(&$0) } }

    var url: String { get async throws { "http://127.0.0.1:\(try await server.boundPort)" } }

    /// Without a `feed` it tells no changes.
    init(keys: SwarmKeys, feed: FakeFeed? = nil) {
        self.keys = keys
        let box = MutexBox(State())
        self.box = box
        let router = brimRouter(keys: keys, logger: quiet())
        func route<Body: Decodable & Sendable, Reply: Encodable & Sendable>(
            _ name: String, _ type: Body.Type, _ answer: @escaping @Sendable (Body) async throws -> Reply
        ) {
            router.post("/v1/node/\(name)") { request, context in
                _ = try context.requireNode()
                return try jsonResponse(try await answer(try await request.decodeJSON(Body.self)))
            }
        }
        route("join", JoinRequest.self) { request in
            try box.withLock { state in
                if let error = state.joinError { throw error }
                if state.taken.contains(request.name) { throw BrimError(.exists, "taken") }
                state.joins.append(request)
                let quota = state.quotas[request.name] ?? request.quota
                return JoinReply(swarm: "swarm-1", quota: quota, heartbeatMilliseconds: 100, term: 0)
            }
        }
        route("heartbeat", HeartbeatRequest.self) { request in
            try box.withLock { state in
                state.heartbeats += 1
                guard let join = state.joins.last(where: { $0.name == request.name }) else {
                    throw BrimError(.notFound, "who?")
                }
                return HeartbeatReply(
                    state: .up, quota: state.quotas[request.name] ?? join.quota, report: false,
                    heartbeatMilliseconds: 100, scrub: state.scrub)
            }
        }
        route("surplus", BlobList.self) { list in
            box.withLock { state in
                state.asked.append(list.blobs)
                let known = list.blobs.compactMap { blob in state.surplus[blob].map { (blob.description, $0) } }
                return SurplusReply(surplus: Dictionary(known) { first, _ in first })
            }
        }
        route("report", ReportPage.self) { page in
            box.withLock { state in
                state.reports.append(page)
                defer { state.check = [] }
                return ReportReply(confirm: [], delete: [], check: state.check)
            }
        }
        route("lost", LostRequest.self) { list in
            box.withLock { state in
                state.lost += list.blobs
                state.damage.merge(list.damage ?? [:]) { $1 }
            }
            return Empty()
        }
        route("deleted", BlobList.self) { list in
            box.withLock { $0.deleted += list.blobs }
            return Empty()
        }
        route("pending", PendingRequest.self) { list in
            box.withLock { state in
                let blobs = list.blobs.map(\.blob)
                state.pending += blobs
                let yes = state.confirmPending
                return ReportReply(confirm: yes ? blobs : [], delete: yes ? [] : blobs, check: [])
            }
        }
        route("goodbye", BlobList.self) { list in
            box.withLock { $0.goodbyes.append(list.name) }
            return Empty()
        }
        route("completions", CompletionsRequest.self) { request in
            let (reply, wait) = box.withLock { state in
                state.completions += request.items
                let blobs = request.items.filter { $0.error == nil }.map(\.blob)
                let reply = CompletionsReply(keep: state.discard ? [] : blobs, discard: state.discard ? blobs : [])
                return (reply, state.beforeCompletion)
            }
            if let wait { for item in request.items { try await wait(item) } }
            return reply
        }
        route("room", RoomRequest.self) { request in
            let make = box.withLock { state in
                state.rooms.append(request.bytes)
                return state.makeRoom
            }
            guard let make else { throw BrimError(.full, "nothing to give up") }
            try await make(request)
            return Empty()
        }
        route("commit", CommitRequest.self) { request in
            CommitReply(
                writes: request.writes.map { write in
                    do {
                        return CommitReply.Item(done: try Self.commit(write, keys, box))
                    } catch {
                        return CommitReply.Item(error: error as? BrimError ?? BrimError(.internal, "\(error)"))
                    }
                })
        }
        feed?.add(to: router)
        server = BrimServer(label: "master", host: "127.0.0.1", port: 0, router: router, logger: quiet())
    }
    private static func commit(
        _ write: CommitRequest.Item, _ keys: SwarmKeys, _ box: MutexBox<State>
    ) throws -> Committed {
        let grant = try keys.verify(write.token).write
        return try box.withLock { state in
            state.commits.append(write)
            if let error = state.commitError { throw error }
            guard let grant else { throw BrimError(.denied, "no grant") }
            let isNew = state.versions[grant.blob] == nil
            state.versions[grant.blob] = 1
            return Committed(
                write: WriteReply(
                    path: grant.path, version: 1, size: write.size, checksum: write.checksum, n: 3,
                    k: write.made.count, replicas: write.made, created: isNew),
                label: BlobLabel(
                    file: FileID(42), parent: grant.parent, name: grant.name, rev: 1, n: 3,
                    attributes: grant.attributes))
        }
    }
}
