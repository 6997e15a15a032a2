import BrimMetadata
import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Logging
import Testing

@testable import BrimMaster

@Suite struct FeedBufferTests {
    private static func position(_ number: Int) -> ChangePosition {
        ChangePosition(rawValue: "\(1000 + number)")
    }

    private static func buffer(_ count: Int, _ limits: FeedBuffer.Limits = .init()) -> FeedBuffer {
        var buffer = FeedBuffer(at: position(0), limits: limits)
        for number in 0..<count {
            buffer.append(.init(position: position(2 * number + 2), json: "\(number)"))
        }
        return buffer
    }

    private func told(_ buffer: FeedBuffer, after number: Int, limit: Int = 100, maxBytes: Int = 1000) -> [String]? {
        switch buffer.next(after: Self.position(number), limit: limit, maxBytes: maxBytes) {
        case .changes(let json, _): json
        case .nothing: []
        case .older, .ahead: nil
        }
    }

    @Test func whatFollowsAPosition() throws {
        let buffer = Self.buffer(3)
        #expect(told(buffer, after: 0) == ["0", "1", "2"])
        #expect(told(buffer, after: 2) == ["1", "2"])
        // Between two changes.
        #expect(told(buffer, after: 3) == ["1", "2"])
        #expect(told(buffer, after: 6) == [])
        #expect(told(buffer, after: -1) == nil)
        #expect(told(buffer, after: 0, limit: 2) == ["0", "1"])
        #expect(told(buffer, after: 0, maxBytes: 1) == ["0"])
        guard case .changes(_, let end) = buffer.next(after: Self.position(0), limit: 2, maxBytes: 9) else {
            Issue.record("nothing was told")
            return
        }
        #expect(end == Self.position(4))
        guard case .ahead = buffer.next(after: Self.position(9), limit: 9, maxBytes: 9) else {
            Issue.record("another master is at 9, this one at 6")
            return
        }
    }

    /// What is known of the last change is not lost where nothing happens.
    @Test func quietMomentsKeepTheLastChange() {
        var buffer = FeedBuffer(at: ChangePosition(rawValue: "a1"))
        func end(after text: String) -> String? {
            let next = buffer.next(after: ChangePosition(rawValue: text), limit: 9, maxBytes: 9)
            if case .nothing(let end) = next { return end.rawValue } else { return nil }
        }
        buffer.advance(to: ChangePosition(rawValue: "a5"))
        #expect(end(after: "a1") == "a5")
        #expect(end(after: "a2.a0") == "a5.a0")
        buffer.append(.init(position: ChangePosition(rawValue: "a6.a6"), json: "1"))
        buffer.advance(to: ChangePosition(rawValue: "a7.a6"))
        #expect(end(after: "a6.a6") == "a7.a6")
        #expect(end(after: "a2.a0") == nil, "that is told a change")
    }

    @Test func itNeverHoldsMoreThanItMay() {
        for limits in [FeedBuffer.Limits(changes: 10, bytes: 1 << 20), FeedBuffer.Limits(changes: 1000, bytes: 12)] {
            var buffer = Self.buffer(0, limits)
            for number in 1...500 {
                buffer.append(.init(position: Self.position(number), json: "\(number)"))
                #expect(buffer.count <= limits.changes && buffer.bytes <= limits.bytes)
                #expect(told(buffer, after: number - 1) == ["\(number)"])
            }
            #expect(told(buffer, after: 0) == nil)
            #expect(told(buffer, after: 500) == [])
        }
    }

    @Test func aChangeLargerThanAllIsNotKept() {
        var buffer = Self.buffer(1, FeedBuffer.Limits(changes: 10, bytes: 12))
        buffer.append(.init(position: Self.position(9), json: String(repeating: "x", count: 100)))
        #expect(buffer.bytes == 0 && told(buffer, after: 8) == nil && told(buffer, after: 9) == [])
    }
}

@Suite struct ChangeFeedTests {
    /// Runs a feed on a store while `body` looks at it.
    private func withFeed(
        _ limits: FeedBuffer.Limits = .init(),
        _ body: @escaping @Sendable (ChangeFeed, InMemoryMetadataStore) async throws -> Void
    ) async throws {
        let store = InMemoryMetadataStore()
        _ = try await store.prepare(passwordProof: "proof")
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let feed = ChangeFeed(store: store, limits: limits, logger: logger) { .empty }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await feed.run() }
            while feed.head == nil { try await Task.sleep(for: .milliseconds(1)) }
            try await body(feed, store)
            group.cancelAll()
        }
    }

    private func make(_ name: String, _ store: InMemoryMetadataStore) async throws {
        _ = try await store.create(
            NewEntry(
                place: EntryPlace(parent: .root, name: EntryName(name)), type: .directory, mode: 0o755, modified: .now))
    }

    /// Names told after a position until `count` were, and the position after them.
    private func names(
        _ count: Int, after start: ChangePosition, _ feed: ChangeFeed
    ) async throws -> ([String], ChangePosition) {
        var (names, position): ([String], ChangePosition) = ([], start)
        while names.count < count {
            guard let (next, _) = feed.next(after: position) else { throw PositionLost() }
            switch next {
            case .changes(let json, let end):
                for text in json {
                    let change = try BrimJSON.decoder().decode(FeedChange.self, from: Data(text.utf8))
                    if let name = change.entry?.entry.name { names.append(name.text) }
                }
                position = end
            case .nothing(let end):
                position = end
                await feed.wait()
            case .older, .ahead: throw PositionLost()
            }
        }
        return (names, position)
    }

    @Test func everyListenerIsToldEverything() async throws {
        try await withFeed { feed, store in
            let start = try #require(feed.head)
            for number in 1...20 { try await self.make("d\(number)", store) }
            let expected = Set((1...20).map { "d\($0)" })
            try await withThrowingTaskGroup(of: Set<String>.self) { group in
                for _ in 1...5 { group.addTask { Set(try await self.names(20, after: start, feed).0) } }
                for try await told in group { #expect(told == expected) }
            }
            let (_, position) = try await self.names(20, after: start, feed)
            try await self.make("later", store)
            #expect(try await self.names(1, after: position, feed).0 == ["later"])
        }
    }

    @Test func whatTheBufferHasLostComesFromTheDatabase() async throws {
        try await withFeed(FeedBuffer.Limits(changes: 4, bytes: 1 << 20)) { feed, store in
            let start = try #require(feed.head)
            for number in 1...20 { try await self.make("d\(number)", store) }
            let end = await store.changePosition()
            while feed.head ?? start < end { await feed.wait() }
            guard case .older? = feed.next(after: start)?.next else {
                Issue.record("four changes are more than twenty")
                return
            }
            let (json, position) = try #require(try await feed.older(after: start))
            let names = try json.compactMap { text in
                try BrimJSON.decoder().decode(FeedChange.self, from: Data(text.utf8)).entry?.entry.name?.text
            }
            #expect(Set(names) == Set((1...20).map { "d\($0)" }))
            #expect(position == end)
            await store.forgetChanges()
            await #expect(throws: PositionLost.self) { _ = try await feed.older(after: start) }
        }
    }

    /// A program that stood still after the database had answered does not take the answer for news.
    @Test func itsAgeIsThatOfTheQuestion() async throws {
        let store = SlowStore()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let feed = ChangeFeed(store: store, logger: logger) { .empty }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await feed.run() }
            var age: Duration?
            while age == nil {
                await feed.wait()
                age = feed.next(after: SlowStore.position)?.age
            }
            #expect(age ?? .zero >= SlowStore.pause)
            group.cancelAll()
        }
    }

    @Test func listenersAreCounted() async throws {
        try await withFeed { feed, _ in
            for _ in 0..<ChangeFeed.listeners { try feed.enter() }
            #expect(throws: BrimError.self) { try feed.enter() }
            feed.leave()
            try feed.enter()
            #expect(feed.usage.listeners == ChangeFeed.listeners)
        }
    }

    @Test func whereTheSwarmIsIsToldWhenItHasChanged() async throws {
        try await withFeed { feed, _ in
            while feed.swarm(since: 0) == nil { await feed.wait() }
            let (reply, number) = try #require(feed.swarm(since: 0))
            #expect(reply == .empty)
            #expect(feed.swarm(since: number) == nil)
        }
    }
}

extension SwarmReply {
    static let empty = SwarmReply(swarm: "swarm", masters: [], servers: [])
}

/// Answers at once that nothing happened, and hands the answer over late.
private struct SlowStore: ChangeStore {
    static let position = ChangePosition(rawValue: "1")
    static let pause = Duration.milliseconds(300)

    func changePosition() async throws -> ChangePosition { Self.position }

    func follow(
        after position: ChangePosition, quiet: Duration, _ take: @escaping @Sendable (ChangeStep) -> Bool
    ) async throws {
        // The position of a mark is asked for while changes never pause: here it would hide what is tested.
        repeat { try await Task.sleep(for: Self.pause) } while take(.quiet(position))
    }

    func entries(after: FileID?, limit: Int) async throws -> [Entry] { [] }
}
