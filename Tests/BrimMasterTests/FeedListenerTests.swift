import BrimMetadata
import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization
import Testing

@testable import BrimMaster

/// What one listener is told.
@Suite struct FeedListenerTests {
    /// Takes a stream apart; `hold` is waited for before each write, as a connection does whose peer reads nothing.
    private final class Ear: ResponseBodyWriter, Sendable {
        private let told = Mutex<[ServerSentEvent]>([])
        private let parser = Mutex(ServerSentEvents())
        let hold: @Sendable () async throws -> Void

        init(hold: @escaping @Sendable () async throws -> Void = {}) { self.hold = hold }

        var events: [ServerSentEvent] { told.withLock { $0 } }
        var kinds: [FeedEvent] { events.compactMap { FeedEvent(rawValue: $0.event) } }

        var alive: [FeedAlive] {
            get throws {
                try events.filter { $0.event == FeedEvent.alive.rawValue }.map {
                    try BrimJSON.decoder().decode(FeedAlive.self, from: Data($0.data.utf8))
                }
            }
        }

        func write(_ buffer: ByteBuffer) async throws {
            let new = try parser.withLock { try $0.take(buffer) }
            told.withLock { $0 += new }
            try await hold()
        }

        func finish(_ trailingHeaders: HTTPFields?) async throws {}
    }

    /// Changes of which the database knows what it is told to know.
    private final class Database: ChangeStore {
        struct State {
            var position = "5"
            /// Positions that it does not go on from.
            var lost: Set<String> = []
        }
        let state = Mutex(State())
        /// By position what is waited for before anything is read from there on.
        let slow: [String: Latch<Void>]

        init(slow: [String: Latch<Void>] = [:]) { self.slow = slow }

        func changePosition() async throws -> ChangePosition {
            ChangePosition(rawValue: state.withLock { $0.position })
        }

        func follow(
            after position: ChangePosition, quiet: Duration, _ take: @escaping @Sendable (ChangeStep) -> Bool
        ) async throws {
            if state.withLock({ $0.lost.contains(position.rawValue) }) { throw PositionLost() }
            try await slow[position.rawValue]?.get()
            var place = position
            while true {
                place = max(place, try await changePosition())
                guard take(.quiet(place)) else { return }
                try await Task.sleep(for: .milliseconds(10))
            }
        }

        func entries(after: FileID?, limit: Int) async throws -> [Entry] { [] }
    }

    /// Listens until the listener is sent away, or until `meanwhile` has seen what it wants.
    private func listen(
        after: String?, _ database: Database = Database(), patience: Duration = FeedListener.patience,
        expires: Duration = .seconds(3600), meanwhile: ((Ear, Database) async throws -> Void)? = nil
    ) async throws -> Ear {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let feed = ChangeFeed(store: database, logger: logger) { .empty }
        let ear = Ear()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await feed.run() }
            while feed.head == nil { await feed.wait() }
            var listener = FeedListener(
                feed: feed, after: after.map { ChangePosition(rawValue: $0) }, limit: nil, expires: .now + expires)
            listener.patience = patience
            async let heard: Void = Self.hear(listener, ear)
            if let meanwhile {
                try await meanwhile(ear, database)
            } else {
                try await heard
                #expect(feed.usage.listeners == 0)
            }
            group.cancelAll()
        }
        return ear
    }

    private static func hear(_ listener: FeedListener, _ ear: Ear) async throws {
        var writer: any ResponseBodyWriter = ear
        try await listener.run(&writer)
    }

    @Test func aPositionThatTheDatabaseDoesNotKnowIsGoneAtOnce() async throws {
        let database = Database()
        database.state.withLock { $0.lost = ["3", "7"] }
        for position in ["3", "7"] {
            #expect(try await listen(after: position, database).kinds.last == .gone)
        }
    }

    /// Another master is a little ahead; this one comes there, and goes on.
    @Test(.timeLimit(.minutes(1))) func aPositionThatThisMasterIsNotAtYetIsWaitedFor() async throws {
        let ear = try await listen(after: "7") { ear, database in
            while !ear.kinds.contains(.alive) { try await Task.sleep(for: .milliseconds(1)) }
            #expect(try ear.alive.allSatisfy { $0.age == nil })
            database.state.withLock { $0.position = "8" }
            while try ear.alive.last?.age == nil { try await Task.sleep(for: .milliseconds(1)) }
        }
        #expect(!ear.kinds.contains(.gone))
        #expect(ear.events.last?.id == "8")
    }

    /// Who has been away for long is told that there is somebody, however long the database needs to find its place.
    @Test(.timeLimit(.minutes(1))) func aListenerDoesNotWaitInSilence() async throws {
        let isFound = Latch<Void>()
        let ear = try await listen(after: "3", Database(slow: ["3": isFound])) { ear, _ in
            while try ear.alive.count < 3 { try await Task.sleep(for: .milliseconds(1)) }
            #expect(try ear.alive.allSatisfy { $0.age == nil }, "it is not told how old what it knows is")
            isFound.set(.success(()))
            while try ear.alive.last?.age == nil { try await Task.sleep(for: .milliseconds(1)) }
        }
        #expect(ear.events.last?.id == "5")
    }

    /// One that leaves meanwhile holds up nobody else.
    @Test(.timeLimit(.minutes(1))) func whoLeavesIsNotReadFor() async throws {
        let never = Latch<Void>()
        let cut = Latch<Void>()
        let ear = Ear(hold: { if cut.isSet { throw BrimError(.unavailable, "cut off") } })
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let feed = ChangeFeed(store: Database(slow: ["3": never]), logger: logger) { .empty }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await feed.run() }
            while feed.head == nil { await feed.wait() }
            for _ in 0..<ChangeFeed.latecomers * 2 {
                let listener = FeedListener(
                    feed: feed, after: ChangePosition(rawValue: "3"), limit: nil, expires: .now + .seconds(3600))
                async let heard: Void = Self.hear(listener, ear)
                while ear.events.isEmpty { await feed.wait() }
                cut.set(.success(()))
                do {
                    try await heard
                    Issue.record("a connection that was cut off is spoken to")
                } catch {
                    #expect((error as? BrimError)?.message == "cut off")
                }
            }
            // A place among those who are read for is free again.
            while (try? await feed.older(after: ChangePosition(rawValue: "4"))) == nil { await feed.wait() }
            group.cancelAll()
        }
    }

    /// A connection whose peer reads nothing holds up nobody, and nothing is kept for it but its place.
    @Test(.timeLimit(.minutes(1))) func aListenerThatReadsNothingIsGivenUpWhenItsConnectionIs() async throws {
        let isCut = Latch<Void>()
        let ear = Ear(hold: { try await isCut.get() })
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let feed = ChangeFeed(store: Database(), logger: logger) { .empty }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { try? await feed.run() }
            while feed.head == nil { await feed.wait() }
            let listener = FeedListener(feed: feed, after: nil, limit: nil, expires: .now + .seconds(3600))
            async let heard: Void = Self.hear(listener, ear)
            while ear.events.isEmpty { await feed.wait() }
            for _ in 1...5 { await feed.wait() }
            #expect(ear.events.count == 1 && feed.usage.listeners == 1)
            isCut.set(.failure(BrimError(.unavailable, "cut off")))
            do {
                try await heard
                Issue.record("a connection that was cut off is spoken to")
            } catch {
                #expect((error as? BrimError)?.message == "cut off")
            }
            #expect(feed.usage.listeners == 0)
            group.cancelAll()
        }
    }

    /// The database was set back: it will never be there, whatever its clock says.
    @Test(.timeLimit(.minutes(1))) func aPositionThatTheDatabaseIsNeverAtIsGone() async throws {
        let ear = try await listen(after: "7", patience: .milliseconds(200))
        #expect(ear.kinds.last == .gone)
        #expect(try ear.alive.allSatisfy { $0.age == nil })
    }

    @Test(.timeLimit(.minutes(1))) func aTokenThatExpiresEndsTheStream() async throws {
        var lifetime = Duration.milliseconds(50)
        // On a busy machine a short life may be over before anything was said.
        while true {
            let ear = try await listen(after: nil, expires: lifetime)
            #expect(!ear.kinds.contains(.gone))
            if ear.kinds.contains(.swarm) { break }
            lifetime *= 2
        }
    }
}
