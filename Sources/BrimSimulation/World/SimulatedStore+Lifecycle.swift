import BrimMetadata
import BrimModel
import BrimTestKit

/// Drains and forgets. Nobody asks for them in a simulation yet; the master looks for those that are under way.
extension SimulatedStore {
    func drain(_ name: ServerName) async throws -> ServerRecord { try await call("drain") { try $0.drain(name) } }

    func undrain(_ name: ServerName) async throws -> ServerRecord { try await call("undrain") { try $0.undrain(name) } }

    func setZone(_ name: ServerName, _ zone: String) async throws -> ServerRecord {
        try await call("setZone") { try $0.setZone(name, zone) }
    }

    func beginForget(_ name: ServerName, losesData: Bool) async throws -> ServerRecord {
        try await call("beginForget") { try $0.beginForget(name, losesData: losesData) }
    }

    func cancelForget(_ name: ServerName) async throws -> ServerRecord {
        try await call("cancelForget") { try $0.cancelForget(name) }
    }

    func dropReplicas(
        of server: ServerName, keeping others: Set<ServerName>?, limit: Int, view: ServerView
    ) async throws -> Int {
        try await call("dropReplicas") { $0.dropReplicas(of: server, keeping: others, limit: limit, view: view) }
    }

    func endForget(_ name: ServerName, id: String) async throws {
        try await call("endForget") { $0.endForget(name, id: id) }
    }

    func forgotten(since time: Timestamp) async throws -> [ForgottenServer] {
        try await call("forgotten") { $0.forgotten(since: time) }
    }

    func isForgotten(id: String) async throws -> Bool { try await call("isForgotten") { $0.isForgotten(id: id) } }

    func copies(on server: ServerName, after: BlobID?, limit: Int) async throws -> [HeldCopy] {
        try await call("copies") { $0.copies(on: server, after: after, limit: limit) }
    }
}
