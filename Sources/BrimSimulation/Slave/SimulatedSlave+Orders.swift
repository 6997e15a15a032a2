import BrimModel
import BrimSlave
import BrimWire

/// The leader's orders, and the pulls among them.
extension SimulatedSlave {
    /// A master told the latest term: orders of lower ones are refused from now on.
    func learn(term: Int64) async throws {
        guard term > state.value.book.term else { return }
        _ = try await handle(OrderBatch(term: term, orders: [], leader: ""))
    }

    func handle(_ batch: OrderBatch) async throws -> OrderReply {
        try await orders.withLock {
            let book = state.value.book
            let order = batch.orders.enumerated().map { (sequence: $1.sequence, index: $0) }
            // Its master may have given up copies that are kept here.
            if batch.term < book.term { requestReport(anew: false) }
            let fresh = try book.fresh(order, term: batch.term).map { batch.orders[$0] }
            if !fresh.isEmpty || batch.term > book.term { try await carryOut(fresh, of: batch) }
            let refused = batch.orders.compactMap { order in
                state.value.book.refusal(order.sequence).map { OrderReply.Refusal(sequence: order.sequence, error: $0) }
            }
            return OrderReply(refused: refused, usage: usage)
        }
    }

    private func carryOut(_ orders: [Order], of batch: OrderBatch) async throws {
        let victims = orders.flatMap(\.evict)
        world.note(
            process.name, "orders", batch.term,
            "\(orders.map { "\($0.sequence): evict \($0.evict), pull \($0.pull.map { "\($0.blob)" } ?? "none")" })")
        for pull in state.value.pulls where victims.contains(pull.pull.blob) { pull.isCancelled.value = true }
        var changed = state.value.book
        changed.record(orders.map(\.sequence), term: batch.term)
        let book = changed
        let removed = try await durably { disk in
            disk.position = book.position
            return victims.compactMap { disk.rows.removeValue(forKey: $0) }
        }
        state.value.book = book
        try await unlink(removed)
        accept(orders, term: batch.term)
    }

    /// Reserves room for the pulls, in order.
    private func accept(_ orders: [Order], term: Int64) {
        var lastEviction: [BlobID: Int64] = [:]
        for order in orders { for blob in order.evict { lastEviction[blob] = order.sequence } }
        for order in orders {
            guard let pull = order.pull else { continue }
            do {
                if let given = lastEviction[pull.blob], given > order.sequence {
                    throw BrimError(.conflict, "a later order gives the blob up again", retryable: false)
                }
                try checkWritable()
                let isFree = disk.state.value.rows[pull.blob] != nil || world.flaw == .quotaIgnored
                let reservation = try quota.reserve(isFree ? 0 : pull.size, for: .pull)
                state.value.pulls.append(
                    Pull(term: term, sequence: order.sequence, pull: pull, reservation: reservation))
            } catch let error as NoRoom {
                world.note(process.name, "refuses", order.sequence, "\(error)")
                state.value.book.refuse(order.sequence, error.described(server: name))
            } catch let error as BrimError {
                state.value.book.refuse(order.sequence, error)
            } catch {
                world.fail("a slave refuses an order with \(error)")
            }
        }
        signals.pulls.raise()
    }

    // MARK: - Pulls

    /// Carries pulls out, a few at a time.
    @Sendable func carryOutPulls() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                await signals.pulls.wait()
                while !Task.isCancelled, let next = nextPull() {
                    group.addTask {
                        await self.carryOut(next)
                        self.state.value.active -= 1
                        self.signals.pulls.raise()
                    }
                }
            }
        }
    }

    private func nextPull() -> Pull? {
        guard state.value.active < Self.pullsAtOnce, !state.value.pulls.isEmpty else { return nil }
        state.value.active += 1
        return state.value.pulls.removeFirst()
    }

    private func carryOut(_ job: Pull) async {
        await receiving.withLock(job.pull.blob) {
            var badSources: [ServerName] = []
            var failure: BrimError?
            do {
                try await fetch(job, badSources: &badSources)
            } catch let error as BrimError {
                failure = error
            } catch {
                // The leader sees that this server started anew and plans again.
                return job.reservation.release()
            }
            job.reservation.release()
            guard process.isAlive else { return }
            let item = CompletionsRequest.Item(
                sequence: job.sequence, file: job.pull.label.file, blob: job.pull.blob, error: failure,
                badSources: badSources)
            state.value.completions.append((job.term, item))
            world.note(process.name, "pulled", failure == nil ? 0 : 1, "\(job.pull.blob) \(failure?.message ?? "")")
            if failure == nil { world.count(.copied) }
            signals.completions.raise()
        }
    }

    private func check(_ job: Pull) throws {
        if job.isCancelled.value { throw BrimError(.conflict, "a later order gave the blob up", retryable: false) }
    }

    private func fetch(_ job: Pull, badSources: inout [ServerName]) async throws {
        let pull = job.pull
        try check(job)
        if let known = disk.state.value.rows[pull.blob] {
            guard known.size == pull.size, known.checksum == pull.checksum else {
                throw BrimError(.conflict, "the blob is here already, with other bytes", retryable: false)
            }
            return
        }
        if job.reservation.bytes < pull.size, world.flaw != .quotaIgnored {
            try job.reservation.extendOrFail(by: pull.size, name)
        }
        var last = BrimError(.unavailable, "no source was named")
        for source in pull.sources {
            do {
                let found = try await world.call(source.server, from: process, deadline: .seconds(10)) {
                    try await $0.read(pull.blob)
                }
                guard found.size == pull.size, found.checksum == pull.checksum else {
                    throw BrimError(.corrupt, "\(source.server) sent other bytes")
                }
                try check(job)
                try await enter(pull.blob, size: pull.size, pull.checksum, file: pull.label.file, job.reservation)
                if job.isCancelled.value {
                    try await remove([pull.blob])
                    try check(job)
                }
                return
            } catch let error as BrimError where error.code != .conflict && error.code != .io {
                if error.code == .corrupt || error.code == .notFound { badSources.append(source.server) }
                last = error
            }
        }
        throw last
    }
}
