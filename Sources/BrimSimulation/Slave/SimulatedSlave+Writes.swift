import BrimModel
import BrimSlave
import BrimWire

/// The bytes of one version of a file: their number and their sum stand for them.
struct Content: Sendable, Hashable {
    var size: Int64
    var checksum: Checksum
}

/// Writes of clients: each target of the chain stores the blob, the first has it committed.
extension SimulatedSlave {
    /// As `PUT /v1/blobs/ID` on the first target.
    func put(_ grant: WriteGrant, token: String, _ content: Content) async throws -> WriteReply {
        guard receiving.tryAcquire(grant.blob) else {
            throw BrimError(.conflict, "the blob is being received already")
        }
        defer { receiving.release(grant.blob) }
        let targets = try await receive(grant, hop: 0, content)
        return try await commit(grant, token: token, content, targets)
    }

    /// As `PUT` on a later target: the servers on which the blob is durable then, and what they use.
    func putOn(_ grant: WriteGrant, hop: Int, _ content: Content) async throws -> [TargetUsage] {
        guard receiving.tryAcquire(grant.blob) else {
            throw BrimError(.conflict, "the blob is being received already")
        }
        defer { receiving.release(grant.blob) }
        return try await receive(grant, hop: hop, content)
    }

    private func receive(_ grant: WriteGrant, hop: Int, _ content: Content) async throws -> [TargetUsage] {
        guard grant.targets[hop].server == name else { throw BrimError(.denied, "the token is for another server") }
        try checkWritable()
        let isKnown = disk.state.value.rows[grant.blob] != nil
        let reservation = isKnown ? nil : try await reserve(world.flaw == .quotaIgnored ? 0 : content.size)
        async let following = forward(grant, hop: hop + 1, content)
        do {
            try await sleep(world.duration(from: .microseconds(100), to: .milliseconds(500)))
            if world.chance(0.02) { throw BrimError(.unavailable, "the connection broke off") }
            if let reservation {
                try await enter(grant.blob, size: content.size, content.checksum, file: FileID(0), reservation)
            } else {
                try await sync()
                guard disk.state.value.rows[grant.blob]?.checksum == content.checksum else {
                    throw BrimError(.unavailable, "the blob was removed while it was sent again")
                }
            }
        } catch {
            _ = try? await following
            throw error
        }
        do {
            return [TargetUsage(server: name, usage: usage)] + (try await following)
        } catch {
            if !isKnown { try await removePending([grant.blob]) }
            throw error
        }
    }

    private func forward(_ grant: WriteGrant, hop: Int, _ content: Content) async throws -> [TargetUsage] {
        guard hop < grant.targets.count else { return [] }
        let next = grant.targets[hop].server
        do {
            return try await world.call(next, from: process, deadline: .seconds(15)) {
                try await $0.putOn(grant, hop: hop, content)
            }
        } catch let error as BrimError where error.code == .full {
            throw error
        } catch {
            throw BrimError(.unavailable, "the copy on \(next) failed: \(error)")
        }
    }

    /// Asks the master to enter the blob, until it says what came of it or patience ends.
    private func commit(
        _ grant: WriteGrant, token: String, _ content: Content, _ targets: [TargetUsage]
    ) async throws -> WriteReply {
        let write = CommitRequest.Item(
            token: token, size: content.size, checksum: content.checksum, made: targets.map(\.server), usages: targets)
        let request = CommitRequest(name: name, id: disk.state.value.id, writes: [write])
        let deadline = world.scheduler.now + Self.commitPatience.microseconds
        while true {
            do {
                let item = try await master(deadline: .seconds(5)) { try await $0.commit(request) }.writes.first
                guard let done = item?.done else { throw item?.error ?? BrimError(.internal, "no outcome") }
                _ = process.spawn { [self] in await confirmEverywhere(grant, done.label) }
                return done.write
            } catch let error as BrimError where error.isUndecided {
                guard world.scheduler.now < deadline else {
                    throw BrimError(.unavailable, "the outcome of the write is not known: \(error.message)")
                }
                try await backOff()
            } catch let error as BrimError {
                await askAboutRefused(grant.blob)
                throw error
            }
        }
    }

    /// Marks a committed blob as confirmed, here and on the other targets; one that gets lost is asked about later.
    private func confirmEverywhere(_ grant: WriteGrant, _ label: BlobLabel) async {
        do {
            _ = try await confirm([grant.blob], file: label.file)
            for peer in grant.targets.dropFirst() {
                try await world.call(peer.server, from: process, deadline: .seconds(3)) {
                    _ = try await $0.confirm([grant.blob], file: label.file)
                }
            }
        } catch {
            world.note(process.name, "confirmations lost", 0, "\(error)")
        }
    }
}
