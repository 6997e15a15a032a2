import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire

/// Commits writes: any master does, whichever granted them.
struct CommitDesk: Sendable {
    let committer: Committer
    let store: any MetadataStore
    let policies: Policies
    let keys: SwarmKeys
    let notices: LeaderNotices
    var clock: any BrimClock = SystemClock()

    /// Enters writes whose blobs are durable on all their targets; one outcome for each. Idempotent by the grants' request
    /// ids.
    func commit(_ writes: [CommitRequest.Item]) async throws -> [CommitReply.Item] {
        let accepted = try await withPolicies(writes.map { write in Result { try accept(write) } })
        for (write, accepted) in zip(writes, accepted) {
            if let grant = try? accepted.get().grant { notices.stored(grant.request, write.usages ?? []) }
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

    private typealias Accepted = Result<(grant: WriteGrant, commit: BlobCommit), any Error>

    /// With the n that policies say of each file, now that its size is known.
    private func withPolicies(_ accepted: [Accepted]) async throws -> [Accepted] {
        let open = accepted.compactMap { try? $0.get() }.filter { $0.grant.n == nil }
        guard !open.isEmpty else { return accepted }
        let present = policies.areAboutThePresent ? try await present(open.map(\.commit.place)) : [:]
        let now = clock.timestamp
        let subjects = try open.map { grant, commit in
            let file = PolicyFile(
                writing: try BrimPath(parsing: grant.path), over: present[commit.place], size: commit.size,
                modified: commit.modified, attributes: commit.attributes, now: now)
            return Policies.Subject(file: file, inherited: grant.inherited)
        }
        var choices = await policies.choose(for: subjects)[...]
        return accepted.map { accepted in
            accepted.map { grant, commit in
                var commit = commit
                if grant.n == nil, let choice = choices.popFirst() { commit.policy = choice }
                return (grant, commit)
            }
        }
    }

    /// What is at these places now.
    private func present(_ places: [EntryPlace]) async throws -> [EntryPlace: Entry] {
        var present: [EntryPlace: Entry] = [:]
        for (parent, places) in Dictionary(grouping: places, by: \.parent) {
            for (name, entry) in try await store.entries(in: parent, names: places.map(\.name)) {
                present[EntryPlace(parent: parent, name: name)] = entry
            }
        }
        return present
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
            modified: grant.modified ?? clock.timestamp, explicitN: grant.n, policy: policies.standard,
            attributes: grant.attributes, precondition: Precondition(grant.ifMatch))
        return (grant, commit)
    }

    /// What the writer is told; the room held for the write is free again unless it may still be asked for.
    private func committed(_ grant: WriteGrant, _ outcome: Result<CommitOutcome, any Error>) throws -> Committed {
        do {
            let (entry, created) = try (outcome.get().entry, outcome.get().created)
            guard let content = entry.content else {
                throw BrimError(.internal, "a file without content was committed")
            }
            notices.add { notice in
                notice.ended = [grant.request]
                notice.explained = content.size
                notice.changed = true
            }
            return Committed(
                write: WriteReply(path: grant.path, content, created: created), label: try BlobLabel(entry: entry))
        } catch let error as BrimError {
            if !error.retryable { notices.add { $0.ended = [grant.request] } }
            throw error
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
