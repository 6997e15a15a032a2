import BrimModel
import BrimWire
import Foundation
import Hummingbird
import NIOCore

@testable import BrimSlave

/// A master's snapshot and changes, as a test wants them.
final class FakeFeed: Sendable {
    struct State: Sendable {
        var swarm = "swarm-1"
        var entries: [Entry] = []
        var pageEntries = 2
        /// Of the pages to come.
        var position = "p1"
        /// Pages that are given yet; all others are refused.
        var pagesLeft = Int.max
        /// The `after` of each page that was asked for.
        var pages: [Int64?] = []
        /// The `after` of each stream that was asked for.
        var streams: [String] = []
        /// What the stream under way tells, one after the other.
        var events: [ServerSentEvent] = []
        /// Whether the stream under way ends; the next goes on.
        var ends = false
        var meetings = 0
    }

    private let box = MutexBox(State())
    var state: State { box.current }
    func set(_ change: (inout State) -> Void) { box.withLock { change(&$0) } }

    /// Tells that what was told was all there was `age` seconds ago.
    func alive(age: Double?, at position: String) {
        let alive = FeedAlive(age: age, at: 0)
        set { $0.events.append(Self.event(.alive, alive, position)) }
    }

    func tell(_ entries: [Entry], at position: String) {
        set { $0.events.append(Self.event(.changes, entries.map { FeedChange(entry: FeedEntry($0)) }, position)) }
    }

    func gone() { set { $0.events.append(Self.event(.gone, Empty(), nil)) } }

    private static func event(_ kind: FeedEvent, _ value: some Encodable, _ position: String?) -> ServerSentEvent {
        let json = (try? BrimJSON.encoder().encode(value)) ?? Data()
        return ServerSentEvent(event: kind.rawValue, id: position, data: String(decoding: json, as: UTF8.self))
    }

    func add(to router: Router<BrimRequestContext>) {
        let box = box
        router.get("/v1/swarm") { _, context in
            try context.requireReader()
            return try jsonResponse(
                box.withLock { state in
                    state.meetings += 1
                    return SwarmReply(swarm: state.swarm, masters: [], servers: [])
                })
        }
        router.get("/v1/snapshot") { request, context in
            try context.requireAdmin()
            let after = try request.queryInt("after").map { Int64($0) }
            let reply = try box.withLock { state in
                state.pages.append(after)
                guard state.pagesLeft > 0 else { throw BrimError(.unavailable, "as the test wants it") }
                state.pagesLeft -= 1
                let rest = state.entries.filter { $0.id.rawValue > after ?? 0 }.sorted { $0.id < $1.id }
                let page = rest.prefix(state.pageEntries)
                return SnapshotReply(
                    position: state.position, entries: page.map(FeedEntry.init),
                    next: page.count < rest.count ? page.last?.id : nil)
            }
            return try jsonResponse(reply)
        }
        router.get("/v1/changes") { request, context in
            try context.requireAdmin()
            let after = try request.query("after") ?? ""
            let number = box.withLock { state in
                state.streams.append(after)
                (state.events, state.ends) = ([], false)
                return state.streams.count
            }
            return Response(
                status: .ok, headers: [.contentType: "text/event-stream"],
                body: ResponseBody { writer in
                    while !Task.isCancelled, !Task.isShuttingDownGracefully {
                        let (events, ends) = box.withLock { state -> ([ServerSentEvent], Bool) in
                            // One whose listener has left does not take what the next is told.
                            guard state.streams.count == number else { return ([], true) }
                            defer { state.events = [] }
                            return (state.events, state.ends)
                        }
                        for event in events {
                            var bytes = ByteBuffer()
                            event.write(to: &bytes)
                            try await writer.write(bytes)
                        }
                        if ends { break }
                        try await Task.sleep(for: .milliseconds(5))
                    }
                    try await writer.finish(nil)
                })
        }
    }
}
