import BrimMetadata
import BrimModel
import BrimWire
import Hummingbird
import NIOCore
import ServiceLifecycle

/// Tells one listener of changes for as long as it stays.
struct FeedListener: Sendable {
    let feed: ChangeFeed
    /// Where masters and servers are now.
    let swarm: @Sendable () async -> SwarmReply
    /// nil: from now on.
    let after: ChangePosition?
    /// How long it is told; nil: until it leaves.
    let limit: Duration?

    private enum Outcome {
        /// Told what there was: more may be there.
        case told(ChangePosition)
        /// Nothing is there.
        case waits(ChangePosition?)
        case lost
    }

    func run(_ writer: inout any ResponseBodyWriter) async throws {
        try feed.enter()
        defer { feed.leave() }
        let deadline = limit.map { ContinuousClock.now + $0 }
        var position = after
        var told: SwarmReply?
        var spoke = ContinuousClock.now - ChangeFeed.pace
        // One that this master was not at yet is either of a master that is ahead, or of none.
        var isKnown = false
        while !Task.isShuttingDownGracefully, !Task.isCancelled {
            let isDue = ContinuousClock.now - spoke >= ChangeFeed.pace
            if isDue {
                let now = await swarm()
                if now != told { try await write(.swarm, now, to: &writer) }
                told = now
                spoke = .now
            }
            if !isKnown, let given = position, let head = feed.head {
                isKnown = true
                if given > head {
                    switch try await tellOlder(given, &writer) {
                    case .told(let next): position = next
                    case .lost: return try await end(&writer)
                    case .waits: break
                    }
                }
            }
            switch try await step(position, saysAlive: isDue, &writer) {
            case .told(let next): position = next
            case .lost: return try await end(&writer)
            case .waits(let next):
                position = next
                if let deadline, ContinuousClock.now >= deadline { return try await writer.finish(nil) }
                await feed.wait(after: position)
            }
        }
        try await writer.finish(nil)
    }

    /// The position is gone.
    private func end(_ writer: inout any ResponseBodyWriter) async throws {
        try await write(.gone, Empty(), to: &writer)
        try await writer.finish(nil)
    }

    private func step(
        _ position: ChangePosition?, saysAlive: Bool, _ writer: inout any ResponseBodyWriter
    ) async throws -> Outcome {
        guard let position = position ?? feed.head, let (next, age) = feed.next(after: position) else {
            if saysAlive { try await write(.alive, FeedAlive(age: nil), to: &writer) }
            return .waits(position)
        }
        switch next {
        case .changes(let json, let end):
            try await write(.changes, json: "[\(json.joined(separator: ","))]", at: end, to: &writer)
            return .told(end)
        case .nothing(let end):
            if saysAlive || end != position, let age {
                try await write(.alive, FeedAlive(age: age.inSeconds), at: end, to: &writer)
            } else if saysAlive {
                try await write(.alive, FeedAlive(age: nil), to: &writer)
            }
            return .waits(end)
        case .older:
            if saysAlive { try await write(.alive, FeedAlive(age: nil), to: &writer) }
            return try await tellOlder(position, &writer)
        }
    }

    private func tellOlder(
        _ position: ChangePosition, _ writer: inout any ResponseBodyWriter
    ) async throws -> Outcome {
        do {
            guard let page = try await feed.older(after: position) else { return .waits(position) }
            let json = try page.changes.map(ChangeFeed.json).joined(separator: ",")
            if !json.isEmpty { try await write(.changes, json: "[\(json)]", at: page.position, to: &writer) }
            return page.position > position ? .told(page.position) : .waits(position)
        } catch is PositionLost {
            return .lost
        } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
            return .waits(position)
        }
    }

    private func write(
        _ event: FeedEvent, _ value: some Encodable, at position: ChangePosition? = nil,
        to writer: inout any ResponseBodyWriter
    ) async throws {
        let json = String(decoding: try BrimJSON.encoder().encode(value), as: UTF8.self)
        try await write(event, json: json, at: position, to: &writer)
    }

    private func write(
        _ event: FeedEvent, json: String, at position: ChangePosition? = nil, to writer: inout any ResponseBodyWriter
    ) async throws {
        var bytes = ByteBuffer()
        ServerSentEvent(event: event.rawValue, id: position?.rawValue, data: json).write(to: &bytes)
        try await writer.write(bytes)
    }
}
