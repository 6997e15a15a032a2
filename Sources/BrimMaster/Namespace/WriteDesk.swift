import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire
import Foundation
import Logging

/// Grants writes: the leader's part of them, since only it promises room.
struct WriteDesk: Sendable {
    /// How long a writer may take from the grant to the commit.
    static let lifetime = Duration.seconds(6 * 3600)

    let namespace: NamespaceService
    let store: any MetadataStore
    let roster: Roster
    let room: RoomKeeper
    let keys: SwarmKeys
    let settings: LiveSettings
    let ids: BlobIDSource
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
        let n = try await copies(for: request, at: place)
        let id = ids.request()
        let targets = try await room.place(
            request: id, size: request.size ?? 0, n: n, avoid: Set(request.avoid ?? []), writerHost: writerHost)
        guard let first = targets.first else {
            throw BrimError(.unavailable, "no server is up", advice: "Start a slave, or wait until one has joined")
        }
        let grant = WriteGrant(
            request: id, blob: ids.next(), parent: parent.id, name: name, path: request.path.description,
            size: request.size, targets: targets, mode: request.mode ?? 0o644, modified: request.modified, n: request.n,
            inherited: place.inherited, attributes: request.attributes ?? [:], ifMatch: request.ifMatch ?? .anything,
            master: await roster.masterURL(for: first.server))
        let token = try keys.sign(.write(grant, lifetime: Self.lifetime, now: clock.timestamp))
        return WritesReply.Item(url: "http://\(first.address)/v1/blobs/\(grant.blob)?token=\(token)", targets: targets)
    }

    /// The n that the file will have, as far as that can be said before its bytes are there: it says on how many servers they
    /// are to be.
    private func copies(for request: WriteRequest, at place: NamespaceService.Place) async throws -> Int {
        if let n = request.n { return n }
        let content = place.present?.content
        if let content, content.policy == PolicyName.explicit { return content.n }
        let now = clock.timestamp
        let file = PolicyFile(
            writing: request.path, over: place.present, size: request.size ?? content?.size ?? 0,
            modified: request.modified ?? now, attributes: request.attributes ?? [:], now: now)
        return await namespace.policies.choose(for: Policies.Subject(file: file, inherited: place.inherited)).n
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
