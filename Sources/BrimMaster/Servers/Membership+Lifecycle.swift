import BrimMetadata
import BrimModel
import BrimPlacement
import Logging

/// How servers are emptied and struck off. Every step is kept in MongoDB before the next: whoever leads goes on with it.
extension Membership {
    /// Files in one update.
    private static let range = 1000
    /// Copies looked at in one read.
    private static let page = 5000
    /// Files named in a refusal.
    private static let named = 20
    /// How long somebody may still name a forgotten server: longer than a write may take (`WriteDesk.lifetime`).
    private static let memorySeconds: Int64 = 24 * 3600

    /// Servers that are silent, and not called down because others fell silent with them.
    var heldBack: Set<ServerName> { Set(watch.heldBack) }

    // MARK: - Draining

    /// Its copies stop counting at once, and nothing new goes there. Throws `.notFound`, and `.conflict` when no other
    /// server's copies count. A silent server is thereby said to be really gone.
    func drain(_ name: ServerName) async throws {
        let isNews = try await documents.exclusively { [store, roster] in
            let records = await roster.records
            guard let record = records.first(where: { $0.name == name }) else { throw Refusal.noServer(name) }
            guard record.drain == nil else { return false }
            guard records.contains(where: { $0.name != name && $0.isCounted }) else {
                throw BrimError(
                    .conflict, "\(name) is the last server whose copies count: no other could take its files",
                    advice: "Start another slave first, or undrain one that is draining", retryable: false)
            }
            await roster.merge(try await store.drain(name))
            return true
        }
        if watch.state(name) != .up { watch.confirmed(name) }
        guard isNews else { return }
        logger.info("a server is draining", metadata: ["server.name": "\(name)"])
        try await countsDiffer(name, rising: false)
        await drains.begin(name)
    }

    /// Its copies count again, those it still has. Throws `.notFound`.
    func undrain(_ name: ServerName) async throws {
        let isNews = try await documents.exclusively { [store, roster] in
            guard let record = await roster.record(name) else { throw Refusal.noServer(name) }
            guard record.drain != nil else { return false }
            await roster.merge(try await store.undrain(name))
            return true
        }
        guard isNews else { return }
        logger.info("a server is no longer draining", metadata: ["server.name": "\(name)"])
        try await countsDiffer(name, rising: true)
    }

    private func countsDiffer(_ name: ServerName, rising: Bool) async throws {
        try await publish()
        await share()
        await recount(name, rising: rising)
        breaker.explainAll()
        changed.ring()
    }

    /// Sets a zone until the slave starts with another `--zone`. Throws `.notFound`, `.invalid`.
    func setZone(_ name: ServerName, _ zone: String) async throws {
        try Self.checkZone(zone)
        try await documents.exclusively { [store, roster] in
            guard await roster.record(name) != nil else { throw Refusal.noServer(name) }
            await roster.merge(try await store.setZone(name, zone))
        }
        await share()
        logger.info("zone set", metadata: ["server.name": "\(name)", "zone": "\(zone)"])
        changed.ring()
    }

    static func checkZone(_ zone: String) throws {
        guard (1...Limits.zoneBytes).contains(zone.utf8.count),
            !zone.unicodeScalars.contains(where: { $0.value < 32 || $0.value == 127 })
        else {
            throw BrimError(
                .invalid, "the name of a zone is empty, too long, or has control characters",
                advice: "Use 1 to \(Limits.zoneBytes) bytes, for example rack-7")
        }
    }

    // MARK: - Forgetting

    /// Strikes a server off; returns, when no document names it any more, how many files lost their last copy that can
    /// be read.
    ///
    /// Throws `.notFound`; `.conflict` for a server whose copies count, and, unless `losesData`, while files would be lost.
    func forget(_ name: ServerName, losesData: Bool) async throws -> Int64 {
        guard let record = await roster.record(name) else { throw Refusal.noServer(name) }
        guard !record.isCounted else { throw Refusal.stillCounts(name) }
        let lost = try await lastCopies(on: name)
        guard losesData || lost.count == 0 else { throw try await refusal(name, lost) }
        try await documents.exclusively { [store, roster] in
            await roster.merge(try await store.beginForget(name, losesData: losesData))
        }
        logger.notice(
            "a server is being forgotten", metadata: ["server.name": "\(name)", "files.lost": "\(lost.count)"])
        try await publish()
        await share()
        try await finishForgetting(name)
        return lost.count
    }

    /// Goes on with what was begun, perhaps by another leader.
    func resumeForgetting() async throws {
        for record in await roster.records where record.forget != nil { try await finishForgetting(record.name) }
    }

    private func finishForgetting(_ name: ServerName) async throws {
        try await forgetting.exclusively { try await self.strikeOff(name) }
    }

    private func strikeOff(_ name: ServerName) async throws {
        guard let record = await roster.record(name), let mark = record.forget else { return }
        ledger.decide { _ = $0.lost(name) }
        try await dropAll(name, mark)
        // From here on no update leaves its name in a file. Commits that count with an older view may still enter it.
        struck.insert(name)
        defer { struck.remove(name) }
        try await publish()
        try await clock.sleep(for: ViewKeeper.maxAge)
        try await dropAll(name, mark)
        try await documents.exclusively { [store, roster] in
            try await store.endForget(name, id: record.id)
            await roster.forget(name)
        }
        forgotten[name] = clock.timestamp
        watch.forget(name)
        reconciledBoot[name] = nil
        reporting[name] = nil
        logger.notice("a server is forgotten", metadata: ["server.name": "\(name)", "server.id": "\(record.id)"])
        try await publish()
        await share()
        changed.ring()
    }

    /// Takes it off all files. Throws `.conflict`, and no longer forgets it, when that would lose some: others that had
    /// copies of them are gone since this began, or they were written to it meanwhile.
    private func dropAll(_ name: ServerName, _ mark: ForgetMark) async throws {
        try await drop(name, keeping: mark.losesData ? nil : await roster.readable(besides: name))
        guard try await store.copies(on: name, after: nil, limit: 1).isEmpty else {
            struck.remove(name)
            try await documents.exclusively { [store, roster] in
                await roster.merge(try await store.cancelForget(name))
            }
            // It holds copies that it was taken off already: its report says which, and they are entered again or deleted.
            await roster.doubt(name)
            try await publish()
            throw try await refusal(name, try await lastCopies(on: name))
        }
    }

    private func drop(_ name: ServerName, keeping others: Set<ServerName>?) async throws {
        while try await store.dropReplicas(
            of: name, keeping: others, limit: Self.range, view: try await views.current()) > 0
        { changed.ring() }
    }

    /// Takes up who was forgotten lately.
    func recallForgotten() async throws {
        let since = Timestamp(seconds: clock.timestamp.seconds - Self.memorySeconds, nanoseconds: 0)
        let servers = try await store.forgotten(since: since)
        forgotten = Dictionary(servers.map { ($0.name, $0.at) }) { max($0, $1) }
    }

    // MARK: - What would be lost

    private struct Loss {
        var count: Int64 = 0
        /// The first of them.
        var files: [FileID] = []
    }

    /// Live files of which no other server that answers has a copy.
    private func lastCopies(on name: ServerName) async throws -> Loss {
        let others = await roster.readable(besides: name)
        var loss = Loss()
        var after: BlobID?
        while true {
            let page = try await store.copies(on: name, after: after, limit: Self.page)
            for copy in page where others.isDisjoint(with: copy.replicas) {
                loss.count += 1
                if loss.files.count < Self.named { loss.files.append(copy.file) }
            }
            guard page.count == Self.page, let last = page.last else { return loss }
            after = last.blob
        }
    }

    private func refusal(_ name: ServerName, _ loss: Loss) async throws -> BrimError {
        var paths: [String] = []
        for file in loss.files { if let path = try await path(of: file) { paths.append(path) } }
        let more = loss.count > Int64(paths.count) ? ", …" : ""
        return BrimError(
            .conflict,
            "\(loss.count) files have no other copy that can be read than that on \(name): "
                + paths.joined(separator: ", ") + more,
            advice: "Start the other servers that hold them, wait until they are copied (brim status), "
                + "or give them up with --lose-data", retryable: false)
    }

    /// nil when it is gone.
    private func path(of file: FileID) async throws -> String? {
        var names: [String] = []
        var next: FileID? = file
        while let id = next, id != .root {
            guard let entry = try await store.entry(id), names.count <= Limits.pathComponents else { return nil }
            names.append(entry.name?.text ?? "?")
            next = entry.parent
        }
        return "/" + names.reversed().joined(separator: "/")
    }
}

extension Refusal {
    static func noServer(_ name: ServerName) -> BrimError {
        BrimError(.notFound, "there is no server named \(name)", advice: "brim servers lists them")
    }
}
