import BrimModel
import MongoDriver
import Synchronization

/// Lets the answer of a look-up pass only while the member that gave it is known to be the one primary of its replica set.
///
/// A majority read concern alone allows two lies. A member that is cut off takes itself for the primary for seconds after
/// another one was elected, and shows what was before; and one that was just elected does not show what the one before has acknowledged until it
/// knows that a majority has it. So a look-up needs a *post*: a write, acknowledged by a majority with the same
/// primary before the look-up was sent, and begun at most a `term` before the answer came. That another member takes over takes
/// longer (`ReplicaSetTimes`). One write every half second, while anybody looks, does for all.
///
/// A set with one electable member needs none of it. Leases for reads are described in Gray and Cheriton, "Leases: an efficient
/// fault-tolerant mechanism for distributed file cache consistency" (1989), and in Ongaro's thesis on Raft, section 6.4.
final class ReadFence: Sendable {
    /// For how long a post holds.
    static let term = Duration.seconds(1)
    /// The primary may change this often under one look-up.
    private static let attempts = 8

    /// A write that a majority has.
    private struct Post {
        /// As the pool counts primaries.
        let primary: Int64
        let begun: ContinuousClock.Instant
    }

    private struct State {
        var post: Post?
        /// The write under way.
        var writing: Latch<Post>?
    }

    private let client: MongoClient
    private let collections: Collections
    private let state = Mutex(State())

    /// Posts are written to a document of `counters`.
    init(_ client: MongoClient, _ collections: Collections) {
        self.client = client
        self.collections = collections
    }

    /// May call `read` more than once. Throws what it throws, and `.unavailable` while no primary lasts.
    func look<T>(_ read: () async throws -> T) async throws -> T {
        for _ in 0..<Self.attempts {
            let before = client.primary
            if before.electable == 1 {
                let answer = try await read()
                if client.primary == before { return answer }
                continue
            }
            let post = try await latestPost(before.changes)
            let answer = try await read()
            if try await stands(post) { return answer }
        }
        throw BrimError(
            .unavailable, "MongoDB's primary changed \(Self.attempts) times while something was looked up",
            advice: "Try again; brim mongod status shows the members of a set of BrimFS's own")
    }

    /// A post that stands, of the present primary; a new one is on its way before it no longer does.
    private func latestPost(_ primary: Int64) async throws -> Post {
        if let post = state.withLock({ $0.post }), post.primary == primary {
            let age = post.begun.duration(to: .now)
            if age < Self.term / 2 { return post }
            let writing = write()
            if age < Self.term { return post }
            return try await writing.get()
        }
        return try await write().get()
    }

    /// Whether what was read after this post stands.
    private func stands(_ post: Post) async throws -> Bool {
        let latest = state.withLock { $0.post } ?? post
        if latest.primary == post.primary, latest.begun.duration(to: .now) < Self.term {
            return client.primary.changes == post.primary
        }
        // It took long; one that is written now says the same. Whichever is under way may be too old by its end.
        _ = try? await state.withLock { $0.writing }?.get()
        return try await write().get().primary == post.primary
    }

    /// The write that is under way, or a new one.
    private func write() -> Latch<Post> {
        let (writing, isNew) = state.withLock { state in
            if let writing = state.writing { return (writing, false) }
            let writing = Latch<Post>()
            state.writing = writing
            return (writing, true)
        }
        // Whoever waits for it may give up; it goes on for the others.
        if isNew { Task { await write(for: writing) } }
        return writing
    }

    private func write(for writing: Latch<Post>) async {
        var result: Result<Post, any Error>
        do { result = .success(try await post()) } catch { result = .failure(error) }
        state.withLock { state in
            state.writing = nil
            if case .success(let post) = result { state.post = post }
        }
        writing.set(result)
    }

    private func post() async throws -> Post {
        var post = Post(primary: client.primary.changes, begun: .now)
        for _ in 1..<Self.attempts {
            try await collections.sign("readFence")
            let primary = client.primary.changes
            if primary == post.primary { return post }
            // Found, or another one, meanwhile.
            post = Post(primary: primary, begun: .now)
        }
        throw BrimError(.unavailable, "MongoDB's primary changed \(Self.attempts) times while one write was tried")
    }
}
