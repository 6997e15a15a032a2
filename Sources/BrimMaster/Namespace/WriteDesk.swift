import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Foundation
import Logging

/// Grants writes and commits them.
struct WriteDesk: Sendable {
    /// How long a writer may take from the grant to the commit.
    static let lifetime = Duration.seconds(6 * 3600)

    let namespace: NamespaceService
    let store: any MetadataStore
    let roster: Roster
    let room: RoomKeeper
    let committer: Committer
    let keys: SwarmKeys
    let settings: LiveSettings
    let breaker: EvictionGuard
    let ids: BlobIDSource
    /// Rung when a file was written.
    let changed: Bell
    var clock: any BrimClock = SystemClock()

    /// Grants writes one after the other; an answer for each. Their places are looked up together.
    func grant(_ requests: [WriteRequest], writerHost: String?) async throws -> [WritesReply.Item] {
        let places = try await namespace.places(
            of: requests.filter { $0.replaces == nil && (try? check($0)) != nil }.map(\.path))
        var items: [WritesReply.Item] = []
        for request in requests {
            do {
                items.append(try await grant(request, at: places[request.path]?.get(), writerHost: writerHost))
            } catch let error as BrimError {
                items.append(WritesReply.Item(error: error))
            }
        }
        return items
    }

    /// Chooses targets for a write and returns the URL to send its bytes to. Makes missing parents. Throws `.isDirectory`,
    /// `.precondition`, `.full`, `.unavailable`, `.invalid`, `.conflict`.
    func grant(
        _ request: WriteRequest, at known: NamespaceService.Place? = nil, writerHost: String?
    ) async throws -> WritesReply.Item {
        try check(request)
        if let former = request.replaces, let done = try await settle(former, of: request.path) {
            return WritesReply.Item(done: done)
        }
        guard let name = request.path.name else { throw NamespaceService.isDirectory(request.path) }
        let place = if let known { known } else { try await namespace.place(of: request.path) }
        let (parent, present) = (place.parent, place.present)
        try checkPresent(present, request)
        let n = request.n ?? present?.content?.n ?? settings.copies
        let id = ids.request()
        let targets = try await room.place(
            request: id, size: request.size ?? 0, n: n, avoid: Set(request.avoid ?? []), writerHost: writerHost)
        guard let first = targets.first else {
            throw BrimError(.unavailable, "no server is up", advice: "Start a slave, or wait until one has joined")
        }
        let grant = WriteGrant(
            request: id, blob: ids.next(), parent: parent.id, name: name, path: request.path.description,
            size: request.size, targets: targets, mode: request.mode ?? 0o644, modified: request.modified, n: request.n,
            attributes: request.attributes ?? [:], ifMatch: request.ifMatch ?? .anything,
            master: await roster.masterURL(for: first.server))
        let token = try keys.sign(.write(grant, lifetime: Self.lifetime, now: clock.timestamp))
        return WritesReply.Item(url: "http://\(first.address)/v1/blobs/\(grant.blob)?token=\(token)", targets: targets)
    }

    /// What a write that was granted before came to; nil when it was not committed and from now on cannot be. Throws
    /// `.conflict` when it was committed and the file has been changed or removed since.
    private func settle(_ url: String, of path: BrimPath) async throws -> WriteReply? {
        guard let token = URLComponents(string: url)?.queryItems?.first(where: { $0.name == "token" })?.value else {
            throw BrimError(.invalid, "'replaces' is not a URL that was granted for a write")
        }
        // What no master takes any more, for its age or its signature, cannot be committed either.
        guard let grant = try? keys.verify(token).write else { return nil }
        guard grant.path == path.description else {
            throw BrimError(.invalid, "'replaces' was granted for \(grant.path), not for \(path)")
        }
        room.ended(grant.request)
        let removed = BrimError(
            .conflict, "\(path) was written, and changed or removed by somebody else before that was known",
            advice: "Look at it before writing it again", retryable: false)
        guard try await store.tombstoned([grant.blob]).isEmpty else { throw removed }
        guard try await !store.abandon([grant.blob]).contains(grant.blob) else { return nil }
        // What is in the trash was written too, and is that no more.
        guard let owner = try await store.owners(of: [grant.blob])[grant.blob], owner.kind == .live else {
            throw removed
        }
        return WriteReply(path: grant.path, owner.content, created: owner.content.version == 1)
    }

    /// Enters writes whose blobs are durable on all their targets; one outcome for each. Idempotent by the grants' request
    /// ids.
    func commit(_ writes: [CommitRequest.Item]) async throws -> [CommitReply.Item] {
        let accepted = writes.map { write in Result { try accept(write) } }
        for (write, accepted) in zip(writes, accepted) {
            if let grant = try? accepted.get().grant { room.stored(grant.request, write.usages ?? []) }
        }
        let commits = accepted.compactMap { try? $0.get() }
        var outcomes = try await committer.commit(commits.map(\.commit))[...]
        return accepted.map { accepted in
            do {
                let (grant, _) = try accepted.get()
                guard let outcome = outcomes.popFirst() else {
                    throw BrimError(.internal, "a commit came to nothing")
                }
                return CommitReply.Item(done: try committed(grant, outcome))
            } catch {
                return CommitReply.Item(
                    error: error as? BrimError ?? BrimError(.internal, "the commit failed: \(error)"))
            }
        }
    }

    private func accept(_ write: CommitRequest.Item) throws -> (grant: WriteGrant, commit: BlobCommit) {
        guard let grant = try keys.verify(write.token).write else {
            throw BrimError(.denied, "the token does not allow a write")
        }
        guard Set(write.made) == Set(grant.targets.map(\.server)) else {
            throw BrimError(.invalid, "the write did not reach all its targets", advice: "Send it again")
        }
        guard write.size >= 0, write.size <= Limits.blobBytes, grant.size.map({ $0 == write.size }) ?? true else {
            throw BrimError(
                .invalid, "\(write.size) bytes arrived where \(grant.size ?? 0) were announced",
                advice: "Send it again")
        }
        let commit = BlobCommit(
            request: grant.request, place: EntryPlace(parent: grant.parent, name: grant.name), blob: grant.blob,
            size: write.size, checksum: write.checksum, replicas: write.made, mode: grant.mode,
            modified: grant.modified ?? clock.timestamp, explicitN: grant.n, defaultN: settings.copies,
            attributes: grant.attributes, precondition: Precondition(grant.ifMatch))
        return (grant, commit)
    }

    /// What the writer is told; the room held for the write is free again unless it may still be asked for.
    private func committed(_ grant: WriteGrant, _ outcome: Result<CommitOutcome, any Error>) throws -> Committed {
        do {
            let (entry, created) = try (outcome.get().entry, outcome.get().created)
            room.ended(grant.request)
            guard let content = entry.content else {
                throw BrimError(.internal, "a file without content was committed")
            }
            breaker.explain(bytes: content.size)
            changed.ring()
            return Committed(
                write: WriteReply(path: grant.path, content, created: created), label: try BlobLabel(entry: entry))
        } catch let error as BrimError {
            if !error.retryable { room.ended(grant.request) }
            throw error
        }
    }

    private func check(_ request: WriteRequest) throws {
        if let size = request.size, !(0...Limits.blobBytes).contains(size) {
            throw BrimError(
                .tooLarge, "a file of \(size) bytes", advice: "At most \(Limits.blobBytes) bytes are allowed")
        }
        if let n = request.n { try NamespaceService.checkCopies(n) }
        if let mode = request.mode { try NamespaceService.checkMode(mode) }
        try NamespaceService.checkAttributes(0, (request.attributes ?? [:]).mapValues { $0 })
    }

    /// What can be said before the bytes are sent; the commit decides.
    private func checkPresent(_ present: Entry?, _ request: WriteRequest) throws {
        if let present, present.content == nil {
            throw present.type == .directory
                ? NamespaceService.isDirectory(request.path)
                : BrimError(.isDirectory, "\(request.path) is a symbolic link", advice: "Remove it first")
        }
        let version = present?.content?.version
        let holds =
            switch request.ifMatch ?? .anything {
            case .anything: true
            case .absent: present == nil
            case .present: present != nil
            case .version(let wanted): version == wanted
            }
        guard holds else {
            throw BrimError(
                .precondition, "\(request.path) \(version.map { "is at version \($0)" } ?? "does not exist")",
                advice: "Read it again and decide anew")
        }
    }
}

extension Precondition {
    init(_ ifMatch: IfMatch) {
        self =
            switch ifMatch {
            case .anything: .none
            case .absent: .absent
            case .present: .present
            case .version(let version): .version(version)
            }
    }
}

extension WriteReply {
    init(path: String, _ content: FileContent, created: Bool) {
        self.init(
            path: path, version: content.version, size: content.size, checksum: content.checksum, n: content.n,
            k: content.k, replicas: content.replicas, created: created)
    }
}

extension BlobLabel {
    init(entry: Entry) throws {
        guard let parent = entry.parent, let name = entry.name, let content = entry.content else {
            throw BrimError(.internal, "entry \(entry.id) is not a file with a name")
        }
        self.init(
            file: entry.id, parent: parent, name: name, rev: entry.rev, n: content.n, attributes: entry.attributes)
    }
}
