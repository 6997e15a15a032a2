import BrimMetadata
import BrimModel
import Logging

/// What people set for a server: its quota, its zone, and whether it is emptied. Every change is in MongoDB before anything
/// follows from it: whoever leads goes on with it.
struct ServerAdmin: Sendable {
    let documents: ServerDocuments
    let judge: ServerJudge
    let publisher: ViewPublisher
    let drains: DrainProgress
    let slaves: any SlaveLink
    let breaker: EvictionGuard
    /// Rung when copies may have to move.
    let changed: Bell
    let logger: Logger

    private var roster: Roster { documents.roster }

    /// Sets a quota; returns when MongoDB and, unless it is away, the slave have it. Throws `.notFound`, `.invalid`.
    func setQuota(_ name: ServerName, _ quota: Int64) async throws {
        guard quota > 0 else {
            throw BrimError(.invalid, "a quota of \(quota) bytes", advice: "Give a size of at least 1 byte")
        }
        let peer = try await roster.peer(name)
        try await documents.exclusively { store, roster in
            try await store.setQuota(name, quota)
            await roster.setQuota(name, quota)
        }
        breaker.explainAll()
        if await roster.record(name)?.state != .down {
            let usage = try await slaves.setQuota(peer, quota)
            await roster.note(name, usage: usage)
        }
        logger.info("quota set", metadata: ["server.name": "\(name)", "quota": "\(quota)"])
        changed.ring()
    }

    /// Sets a zone until the slave starts with another `--zone`. Throws `.notFound`, `.invalid`.
    func setZone(_ name: ServerName, _ zone: String) async throws {
        try Self.checkZone(zone)
        try await documents.exclusively { store, roster in
            guard await roster.record(name) != nil else { throw Refusal.noServer(name) }
            await roster.merge(try await store.setZone(name, zone))
        }
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

    /// Its copies stop counting at once, and nothing new goes there. Throws `.notFound`, and `.conflict` when no other
    /// server's copies count. A silent server is thereby said to be really gone.
    func drain(_ name: ServerName) async throws {
        let isNews = try await documents.exclusively { store, roster in
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
        await judge.confirmed(name)
        guard isNews else { return }
        logger.info("a server is draining", metadata: ["server.name": "\(name)"])
        try await countsDiffer()
        await drains.begin(name)
    }

    /// Its copies count again, those it still has. Throws `.notFound`.
    func undrain(_ name: ServerName) async throws {
        let isNews = try await documents.exclusively { store, roster in
            guard let record = await roster.record(name) else { throw Refusal.noServer(name) }
            guard record.drain != nil else { return false }
            await roster.merge(try await store.undrain(name))
            return true
        }
        guard isNews else { return }
        logger.info("a server is no longer draining", metadata: ["server.name": "\(name)"])
        try await countsDiffer()
    }

    private func countsDiffer() async throws {
        breaker.explainAll()
        try await publisher.publish()
        changed.ring()
    }
}

extension Refusal {
    static func noServer(_ name: ServerName) -> BrimError {
        BrimError(.notFound, "there is no server named \(name)", advice: "brim servers lists them")
    }
}
