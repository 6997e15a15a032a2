import BrimMetadata
import BrimModel
import BrimWire
import Hummingbird
import NIOCore
import ServiceLifecycle

/// Tells one listener of changes for as long as it stays.
struct FeedListener: Sendable {
    /// How long a position that this master is not at is waited for, while it follows the changes well. A master that gave
    /// it was there, so the database is; unless it was set back to an earlier state.
    static let patience = Duration.seconds(15)

    let feed: ChangeFeed
    /// nil: from now on.
    let after: ChangePosition?
    /// How long it is told; nil: until it leaves.
    let limit: Duration?
    /// When its token expires.
    let expires: ContinuousClock.Instant
    var patience = FeedListener.patience

    private enum Outcome {
        /// Told what there was: more may be there.
        case told(ChangePosition)
        /// Nothing is there.
        case waits(ChangePosition?)
        case lost
    }

    /// What was said, and when.
    private struct Speech {
        let began = ContinuousClock.now
        var spoke = ContinuousClock.now - ChangeFeed.pace
        /// Of what was told of where the swarm is.
        var swarm = 0
        /// Since when the listener is ahead of this master; nil when it is not.
        var ahead: ContinuousClock.Instant?
    }

    func run(_ writer: inout any ResponseBodyWriter) async throws {
        try feed.enter()
        defer { feed.leave() }
        let deadline = limit.map { ContinuousClock.now + $0 }
        var speech = Speech()
        var position = after
        while !Task.isShuttingDownGracefully, !Task.isCancelled, .now < expires {
            let isDue = ContinuousClock.now - speech.spoke >= ChangeFeed.pace
            if isDue {
                if let swarm = feed.swarm(since: speech.swarm) {
                    try await write(.swarm, swarm.reply, to: &writer)
                    speech.swarm = swarm.number
                }
                speech.spoke = .now
            }
            switch try await step(position, saysAlive: isDue, &speech, &writer) {
            case .told(let next): position = next
            case .lost:
                try await write(.gone, Empty(), to: &writer)
                return try await writer.finish(nil)
            case .waits(let next):
                position = next
                if let deadline, ContinuousClock.now >= deadline { return try await writer.finish(nil) }
                await feed.wait()
            }
        }
        try await writer.finish(nil)
    }

    private func step(
        _ position: ChangePosition?, saysAlive: Bool, _ speech: inout Speech, _ writer: inout any ResponseBodyWriter
    ) async throws -> Outcome {
        guard let position = position ?? feed.head, let (next, age) = feed.next(after: position) else {
            if saysAlive { try await sayAlive(speech, to: &writer) }
            return .waits(position)
        }
        if case .ahead = next {} else { speech.ahead = nil }
        switch next {
        case .changes(let json, let end):
            try await write(.changes, json: "[\(json.joined(separator: ","))]", at: end, to: &writer)
            return .told(end)
        case .nothing(let end):
            if saysAlive { try await sayAlive(speech, age, at: end, to: &writer) }
            return .waits(end)
        case .older:
            if saysAlive { try await sayAlive(speech, to: &writer) }
            return try await tellOlder(position, &speech, &writer)
        case .ahead:
            if saysAlive { try await sayAlive(speech, to: &writer) }
            guard let since = speech.ahead else {
                speech.ahead = .now
                // Of another database it is no position at all.
                return try await tellOlder(position, &speech, &writer)
            }
            let isWell = age.map { $0 < ChangeFeed.pace * 5 } ?? false
            return isWell && .now - since >= patience ? .lost : .waits(position)
        }
    }

    private func tellOlder(
        _ position: ChangePosition, _ speech: inout Speech, _ writer: inout any ResponseBodyWriter
    ) async throws -> Outcome {
        do {
            guard let (json, end) = try await older(after: position, &speech, &writer) else { return .waits(position) }
            if !json.isEmpty {
                try await write(.changes, json: "[\(json.joined(separator: ","))]", at: end, to: &writer)
            }
            return end > position ? .told(end) : .waits(position)
        } catch is PositionLost {
            return .lost
        } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
            return .waits(position)
        }
    }

    /// Reads what follows from the database, which may take it long; the listener is told meanwhile that it is not forgotten,
    /// and when it has left the reading ends.
    private func older(
        after position: ChangePosition, _ speech: inout Speech, _ writer: inout any ResponseBodyWriter
    ) async throws -> (json: [String], position: ChangePosition)? {
        let found = Latch<(json: [String], position: ChangePosition)?>()
        let reading = Task { [feed] in
            do {
                found.set(.success(try await feed.older(after: position)))
            } catch {
                found.set(.failure(error))
            }
        }
        defer { reading.cancel() }
        while try await !found.isSet(within: ChangeFeed.pace) {
            try await sayAlive(speech, to: &writer)
            speech.spoke = .now
        }
        return try await found.get()
    }

    // MARK: Writing

    /// With an age, what was told up to `position` was all there was so long ago.
    private func sayAlive(
        _ speech: Speech, _ age: Duration? = nil, at position: ChangePosition? = nil,
        to writer: inout any ResponseBodyWriter
    ) async throws {
        let alive = FeedAlive(age: age?.inSeconds, at: (ContinuousClock.now - speech.began).inSeconds)
        try await write(.alive, alive, at: age == nil ? nil : position, to: &writer)
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
