import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOFoundationCompat
import NIOHTTP1

/// `PUT /v1/blobs/ID`: one target of a chain of servers that store a blob. The first of them has it committed.
struct Uploads: Sendable {
    /// Bytes on their way to the next target.
    static let pipeBytes = 1 << 20

    let node: SlaveNode

    /// A write that this server may take part in.
    private struct Ticket {
        var grant: WriteGrant
        var token: String
        /// This server's place in the chain.
        var hop: Int
        /// Bytes announced.
        var size: Int64?
        /// What the client says the whole sums to.
        var checksum: Checksum?

        var next: Peer? { hop + 1 < grant.targets.count ? grant.targets[hop + 1] : nil }
    }

    /// What arrived, and where it is durable.
    private struct Received {
        var size: Int64
        var checksum: Checksum
        var made: [ServerName]
        var usages: [TargetUsage]
    }

    func put(_ blob: BlobID, _ request: Request, _ context: BrimRequestContext) async throws -> Response {
        let ticket = try admit(blob, request, context)
        guard node.receiving.tryAcquire(blob) else {
            throw BrimError(.conflict, "the blob \(blob) is being received already", advice: "Try again in a moment")
        }
        defer { node.receiving.release(blob) }
        let transfer = node.transfers.begin()
        defer { withExtendedLifetime(transfer) {} }
        let received = try await receive(ticket, request.body)
        guard ticket.hop == 0 else {
            return try jsonResponse(
                ChainReply(
                    size: received.size, checksum: received.checksum, made: received.made, usages: received.usages),
                status: .created)
        }
        let reply = try await commit(ticket, received)
        let write = reply.write
        return try jsonResponse(
            write, status: write.created ? .created : .ok, headers: [.eTag: "\"\(write.version)-\(blob)\""])
    }

    private func admit(_ blob: BlobID, _ request: Request, _ context: BrimRequestContext) throws -> Ticket {
        guard let caller = context.caller, let token = context.token else {
            throw BrimError(.unauthorized, "a token is needed", advice: "Ask a master for leave to write")
        }
        guard caller.role == .blob, let grant = caller.write, grant.blob == blob else {
            throw BrimError(
                .denied, "the token of \(caller.subject) does not allow to write this blob",
                advice: "Ask a master for leave to write")
        }
        guard let hop = Int(request.headers.value(of: .brimHop) ?? "0"), grant.targets.indices.contains(hop) else {
            throw BrimError(.invalid, "the header Brim-Hop names no target of this write")
        }
        guard grant.targets[hop].server == node.name else {
            throw BrimError(.denied, "the token is for \(grant.targets[hop].server), and this is \(node.name)")
        }
        try node.health.check()
        var checksum: Checksum?
        if let text = request.headers.value(of: .brimChecksum) {
            checksum = Checksum(text)
            guard checksum != nil else {
                throw BrimError(.invalid, "the header Brim-Checksum is not crc32c: and eight hex digits")
            }
        }
        let length = request.headers[.contentLength].flatMap { Int64($0) }
        if let length, let size = grant.size, length != size {
            throw BrimError(.invalid, "the body has \(length) bytes, but \(size) were announced to the master")
        }
        let size = length ?? grant.size
        if let size, size > Limits.blobBytes {
            throw BrimError(.tooLarge, "a file has at most \(ByteCount.format(Limits.blobBytes))")
        }
        return Ticket(grant: grant, token: token, hop: hop, size: size, checksum: checksum)
    }

    /// Stores the body here and on all targets that follow. Nothing remains here when this throws.
    private func receive(_ ticket: Ticket, _ body: RequestBody) async throws -> Received {
        if let size = ticket.size, size <= IncomingBlob.chunk, let reservation = try await reserveSmall(ticket, size) {
            return try await receiveSmall(ticket, body, reservation)
        }
        let known = try await node.catalog.row(ticket.grant.blob)
        let reservation = known == nil ? try await node.reserve(ticket.size ?? 0) : nil
        guard let next = ticket.next else {
            return received(try await store(ticket, body, known: known, reservation, pipe: nil))
        }
        let pipe = BytePipe(capacity: Self.pipeBytes)
        async let forwarded = forward(ticket, to: next, pipe)
        let sums: BlobSummer
        do {
            sums = try await store(ticket, body, known: known, reservation, pipe: pipe)
        } catch is NextTargetGone {
            _ = try await forwarded
            throw BrimError(.unavailable, "\(next.server) answered before it had the whole blob")
        } catch {
            pipe.finish(throwing: error)
            throw error
        }
        do {
            return try received(sums, by: next, try await forwarded)
        } catch {
            if known == nil { try await node.removePending([ticket.grant.blob]) }
            throw error
        }
    }

    /// Room for a small blob, before it is known whether it is here; nil when there is none and it is.
    private func reserveSmall(_ ticket: Ticket, _ size: Int64) async throws -> Reservation? {
        do {
            return try await node.reserve(size)
        } catch let error as BrimError where error.code == .full {
            guard try await node.catalog.row(ticket.grant.blob) != nil else { throw error }
            return nil
        }
    }

    /// Receives a small blob whole, passes it on in one piece, and stores it while the next target does.
    private func receiveSmall(
        _ ticket: Ticket, _ body: RequestBody, _ reservation: Reservation
    ) async throws -> Received {
        var bytes = ByteBuffer()
        for try await part in body {
            try check(Int64(bytes.readableBytes + part.readableBytes), ticket)
            bytes.writeImmutableBuffer(part)
        }
        var sums = BlobSummer()
        bytes.withUnsafeReadableBytes { sums.update($0) }
        try checkEnd(sums, ticket)
        guard let next = ticket.next else {
            _ = try await storeSmall(ticket, bytes, sums, reservation)
            return received(sums)
        }
        async let forwarded = forward(ticket, to: next, bytes)
        let isNew = try await storeSmall(ticket, bytes, sums, reservation)
        do {
            return try received(sums, by: next, try await forwarded)
        } catch {
            if isNew { try await node.removePending([ticket.grant.blob]) }
            throw error
        }
    }

    /// False when the blob was here already, with the same bytes.
    private func storeSmall(
        _ ticket: Ticket, _ bytes: ByteBuffer, _ sums: BlobSummer, _ reservation: Reservation
    ) async throws -> Bool {
        var incoming = node.store.receive(ticket.grant.blob)
        do {
            reservation.wrote(try await incoming.append(bytes))
            try await node.enter(&incoming, reservation, label: label(ticket.grant), new: true)
            return true
        } catch let error as BrimError where error.code == .exists {
            await incoming.discard()
            reservation.release()
            guard let known = try await node.catalog.row(ticket.grant.blob) else {
                throw BrimError(.unavailable, "the blob is just being removed here", advice: "Send it again")
            }
            try await compare(sums, with: known)
            return false
        } catch {
            await incoming.discard()
            throw error
        }
    }

    /// It is stored here.
    private func received(_ sums: BlobSummer) -> Received {
        Received(
            size: sums.size, checksum: sums.checksum, made: [node.name],
            usages: [TargetUsage(server: node.name, usage: node.quota.usage())])
    }

    /// It is stored here and on the targets that follow.
    private func received(_ sums: BlobSummer, by next: Peer, _ reply: ChainReply) throws -> Received {
        guard reply.size == sums.size, reply.checksum == sums.checksum else {
            throw BrimError(.unavailable, "\(next.server) received other bytes than were sent", advice: "Try again")
        }
        var received = received(sums)
        received.made += reply.made
        received.usages += reply.usages ?? []
        return received
    }

    private struct NextTargetGone: Error {}

    /// Stores the body on this server, handing each part to `pipe` first. A blob that is `known` here is only compared.
    private func store(
        _ ticket: Ticket, _ body: RequestBody, known: CatalogRow?, _ reservation: Reservation?, pipe: BytePipe?
    ) async throws -> BlobSummer {
        var incoming = node.store.receive(ticket.grant.blob)
        var compared = BlobSummer()
        do {
            for try await part in body where part.readableBytes > 0 {
                let size = (reservation == nil ? compared.size : incoming.sums.size) + Int64(part.readableBytes)
                try check(size, ticket)
                if let reservation, size > reservation.bytes {
                    let least = size - reservation.bytes
                    try await node.extend(reservation, by: max(least, Limits.reservationStepBytes), least: least)
                }
                if let pipe, await !pipe.send(part) { throw NextTargetGone() }
                if let reservation {
                    reservation.wrote(try await incoming.append(part))
                } else {
                    part.withUnsafeReadableBytes { compared.update($0) }
                }
            }
            let sums = reservation == nil ? compared : incoming.sums
            try checkEnd(sums, ticket)
            // The next target goes on while this one syncs.
            pipe?.finish()
            if let reservation {
                try await node.enter(&incoming, reservation, label: label(ticket.grant))
            } else {
                try await compare(sums, with: known)
            }
            return sums
        } catch {
            await incoming.discard()
            throw error
        }
    }

    private func check(_ size: Int64, _ ticket: Ticket) throws {
        if let announced = ticket.size, size > announced {
            throw BrimError(.invalid, "more than the \(announced) bytes announced were sent")
        }
        if size > Limits.blobBytes {
            throw BrimError(.tooLarge, "a file has at most \(ByteCount.format(Limits.blobBytes))")
        }
    }

    private func checkEnd(_ sums: BlobSummer, _ ticket: Ticket) throws {
        if let announced = ticket.size, sums.size != announced {
            throw BrimError(.invalid, "\(sums.size) bytes were sent where \(announced) were announced")
        }
        if let wanted = ticket.checksum, wanted != sums.checksum {
            throw BrimError(
                .invalid, "the bytes received sum to \(sums.checksum), not to \(wanted) as Brim-Checksum says",
                advice: "Send them again")
        }
    }

    /// A blob sent once more must be the one that is here, and still be here.
    private func compare(_ sums: BlobSummer, with known: CatalogRow?) async throws {
        guard let known, known.size == sums.size, known.checksum == sums.checksum else {
            throw BrimError(.conflict, "the blob is here already, with other bytes", retryable: false)
        }
        guard try await node.catalog.row(known.blob) != nil else {
            throw BrimError(.unavailable, "the blob was removed while it was sent again", advice: "Send it again")
        }
    }

    private func label(_ grant: WriteGrant) -> BlobLabel {
        BlobLabel(
            file: FileID(0), parent: grant.parent, name: grant.name, rev: 0, n: grant.n ?? 0,
            attributes: grant.attributes)
    }

    /// Streams the blob on. Throws `.full` when a later target is, else `.unavailable`, naming the target.
    private func forward(_ ticket: Ticket, to next: Peer, _ pipe: BytePipe) async throws -> ChainReply {
        defer { pipe.close() }
        return try await forward(ticket, to: next) { url, headers in
            try await node.peers.upload(
                url, length: ticket.size, headers: headers, body: pipe, token: ticket.token,
                idle: node.configuration.transferIdle)
        }
    }

    /// Sends a small blob on. Throws as the other.
    private func forward(_ ticket: Ticket, to next: Peer, _ bytes: ByteBuffer) async throws -> ChainReply {
        try await forward(ticket, to: next) { url, headers in
            try await node.peers.exchange(
                .PUT, url, headers: HTTPHeaders(headers), body: bytes, token: ticket.token,
                deadline: node.configuration.transferIdle)
        }
    }

    private func forward(
        _ ticket: Ticket, to next: Peer,
        _ send: (_ url: String, _ headers: [(String, String)]) async throws -> (status: Int, body: ByteBuffer)
    ) async throws -> ChainReply {
        var headers = [
            (BrimHeader.brimHop.rawValue, String(ticket.hop + 1)), ("content-type", "application/octet-stream"),
        ]
        if let checksum = ticket.checksum { headers.append((BrimHeader.brimChecksum.rawValue, "\(checksum)")) }
        do {
            let (status, body) = try await send("http://\(next.address)/v1/blobs/\(ticket.grant.blob)", headers)
            if status == 201 { return try BrimJSON.decoder().decode(ChainReply.self, from: body) }
            let error = try? BrimJSON.decoder().decode(BrimError.self, from: body)
            throw error ?? BrimError(.init(httpStatus: status), "it answered \(status)")
        } catch let error as BrimError where error.code == .full {
            throw error
        } catch {
            throw BrimError(
                .unavailable, "the copy on \(next.server) failed: \(error)", advice: "Try again with another server")
        }
    }
}

extension Uploads {
    /// Asks a master to enter the blob. Throws its refusal, after the blob has been dropped here; `.unavailable` when no
    /// master says in time what came of it: then the blob stays until one does.
    private func commit(_ ticket: Ticket, _ received: Received) async throws -> Committed {
        let blob = ticket.grant.blob
        let item = CommitRequest.Item(
            token: ticket.token, size: received.size, checksum: received.checksum, made: received.made,
            usages: received.usages)
        let deadline = ContinuousClock.now + node.configuration.commitPatience
        var backoff = Backoff(from: .milliseconds(100), to: .seconds(1))
        while true {
            do {
                let reply = try await node.commits.commit(item, first: ticket.grant.master)
                node.confirmations.add(blob, reply.label, others: Array(ticket.grant.targets.dropFirst()))
                return reply
            } catch let error as BrimError where error.isUndecided {
                node.logger.debug("commit not answered", metadata: ["blob": "\(blob)", "error": "\(error)"])
                guard ContinuousClock.now < deadline, error.code != .unauthorized, error.code != .denied else {
                    throw BrimError(
                        error.code == .unauthorized || error.code == .denied ? error.code : .unavailable,
                        "the outcome of the write is not known: \(error.message)",
                        advice: "Look at \(ticket.grant.path) before writing it again", retryable: error.retryable)
                }
                try await Task.sleep(for: backoff.next())
            } catch let error as BrimError {
                await settle(blob)
                throw error
            }
        }
    }

    /// What a refused commit leaves is dropped when a master says so. It may have been entered, as its answer got lost, and
    /// be refused now since the file was overwritten or removed meanwhile: then it is an old version, or trash.
    private func settle(_ blob: BlobID) async {
        do {
            try await node.settlePending([blob])
        } catch {
            node.logger.debug(
                "what became of a refused write is asked later", metadata: ["blob": "\(blob)", "error": "\(error)"])
        }
    }
}
