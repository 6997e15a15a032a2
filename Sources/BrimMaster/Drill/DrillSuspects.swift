import BrimModel

/// Tells what truly differs from what only changed while it was looked at. Pure.
///
/// MongoDB and slaves cannot be read at one moment. So what differs is looked at again: a difference counts once MongoDB and
/// the slave have both said the same for a while, and what a slave's copy of the namespace says only if that copy is as of a
/// moment after MongoDB said it first. What is alike once is no difference any more, and what changes is waited for anew.
struct DrillSuspects {
    /// More are not looked at: what then is told is a part.
    static let limit = 10_000

    private struct Suspect {
        var finding: DrillFinding
        /// When MongoDB had said it first.
        var since: ContinuousClock.Instant
        var isConfirmed = false
    }

    /// What one slave said after MongoDB was read.
    struct Testimony: Sendable {
        var findings: [DrillFinding]
        /// Its copy of the namespace is as of this moment or later; nil where that is not known.
        var asOf: ContinuousClock.Instant?
    }

    private let patience: Duration
    private var suspects: [DrillFinding.Key: Suspect] = [:]
    /// As of when each slave's copy of the namespace was last.
    private var asOf: [ServerName: ContinuousClock.Instant] = [:]

    /// A difference must last for `patience`.
    init(patience: Duration) { self.patience = patience }

    /// Takes in what a slave said the first time.
    mutating func begin(_ testimony: Testimony, of server: ServerName, read: ContinuousClock.Instant) {
        asOf[server] = testimony.asOf
        for finding in testimony.findings.prefix(max(0, Self.limit - suspects.count)) {
            suspects[finding.key] = Suspect(finding: finding, since: read)
        }
    }

    /// Takes in what it says later, after MongoDB was `read` again.
    mutating func update(_ testimony: Testimony, of server: ServerName, read: ContinuousClock.Instant) {
        asOf[server] = testimony.asOf
        let findings = Dictionary(testimony.findings.map { ($0.key, $0) }) { first, _ in first }
        for (key, suspect) in suspects where key.server == server && !suspect.isConfirmed {
            guard let finding = findings[key] else {
                suspects[key] = nil
                continue
            }
            if finding != suspect.finding {
                suspects[key] = Suspect(finding: finding, since: read)
            } else if read - suspect.since >= patience, isCurrent(key, since: suspect.since) {
                suspects[key]?.isConfirmed = true
            }
        }
    }

    private func isCurrent(_ key: DrillFinding.Key, since: ContinuousClock.Instant) -> Bool {
        key.blob != nil || asOf[key.server].map { $0 >= since } ?? false
    }

    /// Servers that are to be asked again.
    var open: Set<ServerName> { Set(suspects.filter { !$0.value.isConfirmed }.keys.map(\.server)) }

    /// Of what is not decided, without these servers: slaves whose copy of the namespace has not come far enough, and entries
    /// that change.
    func undecided(without silent: Set<ServerName>) -> (behind: Set<ServerName>, changing: Set<FileID>) {
        var (behind, changing): (Set<ServerName>, Set<FileID>) = ([], [])
        for (key, suspect) in suspects where !suspect.isConfirmed && !silent.contains(key.server) {
            if isCurrent(key, since: suspect.since) { changing.insert(key.file) } else { behind.insert(key.server) }
        }
        return (behind, changing)
    }

    /// What truly differs, in the order of entries' numbers; what slaves say of one thing together.
    var differences: [DrillReport.Difference] {
        struct Subject: Hashable {
            var file: FileID
            var kind: DrillReport.Kind
            var blob: BlobID?
            var path: String
            var mongodb: String
        }
        var found: [Subject: [DrillReport.Statement]] = [:]
        for (key, suspect) in suspects where suspect.isConfirmed {
            let subject = Subject(
                file: key.file, kind: key.kind, blob: key.blob, path: suspect.finding.path,
                mongodb: suspect.finding.mongodb)
            found[subject, default: []].append(.init(server: key.server, says: suspect.finding.slave))
        }
        return found.sorted {
            ($0.key.file, $0.key.kind.rawValue, $0.key.mongodb) < ($1.key.file, $1.key.kind.rawValue, $1.key.mongodb)
        }.map { subject, statements in
            DrillReport.Difference(
                path: subject.path, kind: subject.kind, mongodb: subject.mongodb,
                slaves: Array(statements.sorted { $0.server < $1.server }.prefix(DrillReport.listed)))
        }
    }
}
