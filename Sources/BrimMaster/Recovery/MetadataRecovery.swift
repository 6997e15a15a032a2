import BrimMetadata
import BrimModel
import BrimWire
import Foundation
import Logging

/// Rebuilds the metadata of a swarm whose database is lost from what its slaves know.
public struct MetadataRecovery: Sendable {
    private let slaves: [String]
    private let keys: SwarmKeys
    private let logger: Logger

    /// `slaves` are `host:port` of some of the slaves: they tell of the others.
    public init(slaves: [String], keys: SwarmKeys, logger: Logger) {
        self.slaves = slaves
        self.keys = keys
        self.logger = logger
    }

    /// What there is to rebuild; changes nothing. Throws `.unauthorized` for a password that is not the swarm's, `.notFound`
    /// when no slave answers, `.conflict` for slaves of several swarms.
    public func plan() async throws -> RecoveryReport { try await survey().report }

    /// Rebuilds it into a database that holds nothing of worth, while no master uses it. Throws as `plan` does, `.notEmpty`,
    /// and `.conflict` while a master runs.
    public func apply(to place: MetadataPlace) async throws -> RecoveryReport {
        // Asking all slaves may take long: what would be refused is refused before.
        try await place.withStore(.alone, logger: logger) { store in
            try await store.requireEmpty()
            let (metadata, planned) = try await survey()
            try await store.rebuild(from: metadata, passwordProof: keys.proof)
            var report = planned
            report.applied = true
            return report
        }
    }

    private func survey() async throws -> (metadata: RecoveredMetadata, report: RecoveryReport) {
        let peers = PeerClient(logger: logger)
        do {
            let (answers, silent) = try await SlaveSurvey(peers: peers, keys: keys, logger: logger).ask(slaves)
            await peers.shutdown()
            if answers.isEmpty, let first = silent.first {
                throw BrimError(
                    .unavailable, "no slave answers: \(first.address): \(first.reason)",
                    advice: "Start the slaves, and name some of their addresses with --slaves")
            }
            var planner = try RecoveryPlanner(answers, silent: silent, now: .now)
            return try planner.plan()
        } catch {
            await peers.shutdown()
            throw error
        }
    }
}
