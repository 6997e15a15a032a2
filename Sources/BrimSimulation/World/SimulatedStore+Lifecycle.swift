import BrimMetadata
import BrimModel
import BrimTestKit

/// Drains and forgets.
extension SimulatedStore {
    func drain(_ name: ServerName) async throws -> ServerRecord {
        try await call("drain") { noting(try $0.drain(name)) }
    }

    func undrain(_ name: ServerName) async throws -> ServerRecord {
        try await call("undrain") { noting(try $0.undrain(name)) }
    }

    private func noting(_ record: ServerRecord) -> ServerRecord {
        let since = world.database.state.value.drains[record.name] ?? world.scheduler.now
        world.database.state.value.drains[record.name] = record.drain == nil ? nil : since
        return record
    }

    func setZone(_ name: ServerName, _ zone: String) async throws -> ServerRecord {
        try await call("setZone") { try $0.setZone(name, zone) }
    }

    func beginForget(_ name: ServerName, losesData: Bool) async throws -> ServerRecord {
        try await call("beginForget") { noting(try $0.beginForget(name, losesData: losesData)) }
    }

    func cancelForget(_ name: ServerName) async throws -> ServerRecord {
        try await call("cancelForget") { try $0.cancelForget(name) }
    }

    func dropReplicas(
        of server: ServerName, keeping others: Set<ServerName>?, limit: Int, view: ServerView
    ) async throws -> Int {
        if world.flaw == .forgottenNamed { return 0 }
        return try await call("dropReplicas") { store in
            let (before, discarded) = (store.entries, store.discarded)
            let count = store.dropReplicas(of: server, keeping: others, limit: limit, view: view)
            judge.forgot(server, before, discarded, store)
            return count
        }
    }

    func endForget(_ name: ServerName, id: String) async throws {
        try await call("endForget") { store in
            try store.endForget(name, id: id)
            world.database.state.value.drains[name] = nil
        }
    }

    func forgotten(since time: Timestamp) async throws -> [ForgottenServer] {
        try await call("forgotten") { $0.forgotten(since: time) }
    }

    func isForgotten(id: String) async throws -> Bool { try await call("isForgotten") { $0.isForgotten(id: id) } }

    func copies(on server: ServerName, after: BlobID?, limit: Int) async throws -> [HeldCopy] {
        if world.flaw == .forgottenNamed { return [] }
        return try await call("copies") { $0.copies(on: server, after: after, limit: limit) }
    }
}
