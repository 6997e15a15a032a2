import BrimMetadata
import BrimModel

// MARK: - Leases

extension SimulatedStore {
    func acquireLease(holder: String, url: String, for duration: Duration) async throws -> LeadershipLease {
        try await call("acquireLease") { $0.acquireLease(holder: holder, url: url, for: duration) }
    }

    func renewLease(holder: String, term: Int64, for duration: Duration) async throws -> Bool {
        try await call("renewLease") { $0.renewLease(holder: holder, term: term, for: duration) }
    }

    func releaseLease(holder: String, term: Int64) async throws {
        try await call("releaseLease") { $0.releaseLease(holder: holder, term: term) }
    }

    func claimServers(term: Int64) async throws {
        try await call("claimServers") { $0.claimServers(term: term) }
    }

    func meetMasters(_ master: MasterHello) async throws -> [MasterRecord] {
        try await call("meetMasters") { $0.meetMasters(master) }
    }

    func masters() async throws -> [MasterRecord] { try await call("masters") { $0.masters() } }

    func leaveMasters(_ id: String) async throws { try await call("leaveMasters") { $0.leaveMasters(id) } }
}
