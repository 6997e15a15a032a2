import BrimModel
import BrimWire
import Foundation
import Logging
import MongoDriver

extension MongodMembers {
    /// How one member is.
    public struct Report: Sendable, Codable {
        public var member: String
        /// `primary`, `secondary`, or in MongoDB's words what it is else; `new` before it is in a replica set; `silent`.
        public var state: String
        /// Seconds by which it is behind the primary; nil when that is not known.
        public var behindSeconds: Int64?
        /// Why it does not answer, or what a primary still waits for.
        public var error: String?

        /// Whether it serves, with all data but what is on its way.
        var serves: Bool { state == "primary" || state == "secondary" }
        public var isWell: Bool { serves && error == nil }
    }

    /// Asks each member; a report for each, in their order.
    public func look(_ logger: Logger) async -> [Report] {
        let looks = await withTaskGroup(of: (Int, Look).self) { group in
            for (number, host) in hosts.enumerated() {
                group.addTask { (number, await self.look(at: host, logger)) }
            }
            return await group.reduce(into: [Int: Look]()) { $0[$1.0] = $1.1 }
        }
        let newest = looks.values.filter { $0.report.state == "primary" }.compactMap(\.appliedMilliseconds).max()
        return hosts.indices.compactMap { number in
            guard let look = looks[number] else { return nil }
            var report = look.report
            if report.serves, let newest, let applied = look.appliedMilliseconds {
                report.behindSeconds = max(0, (newest - applied) / 1000)
            }
            return report
        }
    }

    private struct Look: Sendable {
        var report: Report
        /// When the last change was made that it has, since 1970.
        var appliedMilliseconds: Int64?
    }

    private func look(at host: HostPort, _ logger: Logger) async -> Look {
        do {
            return try await ReplicaSetKeeper.speaking(to: host, of: self, logger) { admin in
                let status = try await admin.runCommand(["replSetGetStatus": 1])
                let all = (status["members"]?.arrayValue ?? []).compactMap(\.documentValue)
                let own = all.first { $0["self"]?.boolValue == true }
                let state = (own?["stateStr"]?.stringValue ?? "unknown").lowercased()
                // A member that was taken in gets its vote when it has all data, and a moment later.
                let voters = status["votingMembersCount"]?.intValue ?? all.count
                let waits = state == "primary" && voters < all.count
                return Look(
                    report: Report(
                        member: "\(host)", state: state, behindSeconds: nil,
                        error: waits ? "\(voters) of \(all.count) members have a vote yet" : nil),
                    appliedMilliseconds: own?["optimeDate"]?.dateValue.map {
                        Int64($0.timeIntervalSince1970 * 1000)
                    })
            }
        } catch let error as MongoError where error.code == Self.notInitialized {
            return Look(report: Report(member: "\(host)", state: "new", behindSeconds: nil, error: nil))
        } catch {
            return Look(report: Report(member: "\(host)", state: "silent", behindSeconds: nil, error: "\(error)"))
        }
    }
}
