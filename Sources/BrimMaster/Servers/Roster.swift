import BrimMetadata
import BrimModel
import BrimPlacement
import BrimWire

/// What this master knows of each server now: the documents as last read, and what slaves said since.
///
/// Room is what slaves themselves count: each reply of a slave carries a `ServerUsage`, and an older one never replaces a
/// newer. The planner knows what the roster knows of states, quotas and disks: it is told in the same breath, so that nobody
/// is shown a server as up which writes do not find.
actor Roster {
    struct Member: Sendable {
        var record: ServerRecord
        /// `host:port` under which this server reached a master last; how it should be told to reach one.
        var masterHost: String?
        /// What its slave said last of its disk.
        var fault: ServerFault?
        /// The start of its slave whose complete report was taken in.
        var reconciledBoot: String?

        /// Whether it takes new blobs: up, not draining, with a disk that is well.
        var isReceiving: Bool { record.isReceiving && fault == nil }
        /// Whether what it has was compared with the metadata since its slave started.
        var isReconciled: Bool { reconciledBoot == record.usage.boot }
    }

    private let ledger: Ledger
    private let settings: LiveSettings

    private(set) var members: [ServerName: Member] = [:]
    /// Servers whose disks may differ from the metadata since something went wrong: they are asked for a report.
    private var doubtful: Set<ServerName> = []

    init(ledger: Ledger, settings: LiveSettings) {
        self.ledger = ledger
        self.settings = settings
    }

    /// Takes in the documents: states, quotas and addresses as the database has them; usage where it is newer.
    func take(_ records: [ServerRecord]) {
        let names = Set(records.map(\.name))
        members = members.filter { names.contains($0.key) }
        for record in records { enter(record) }
        share()
    }

    /// Takes in one document as the database has it; usage where it is newer.
    func merge(_ record: ServerRecord) {
        enter(record)
        share()
    }

    private func enter(_ record: ServerRecord) {
        guard var member = members[record.name] else {
            members[record.name] = Member(record: record)
            return
        }
        var merged = record
        if !Self.isNewer(record.usage, than: member.record.usage) { merged.usage = member.record.usage }
        merged.load = member.record.load
        member.record = merged
        members[record.name] = member
    }

    /// Takes in the documents as they are: a master that does not lead knows nothing better.
    func follow(_ records: [ServerRecord]) {
        members = [:]
        for record in records { members[record.name] = Member(record: record) }
    }

    /// Strikes a server off.
    func forget(_ name: ServerName) {
        members[name] = nil
        doubtful.remove(name)
        share()
    }

    /// Takes in one document that this master just changed or read.
    func take(_ record: ServerRecord) {
        var member = members[record.name] ?? Member(record: record)
        member.record = record
        members[record.name] = member
        share()
    }

    func note(_ name: ServerName, usage: ServerUsage) {
        guard let member = members[name], Self.isNewer(usage, than: member.record.usage) else { return }
        members[name]?.record.usage = usage
        if member.isReconciled != isReconciled(name) { share() }
    }

    func note(_ name: ServerName, usage: ServerUsage, load: ServerLoad, at: Timestamp, masterHost: String?) {
        note(name, usage: usage)
        members[name]?.record.load = load
        members[name]?.record.heartbeat = at
        if let masterHost { members[name]?.masterHost = masterHost }
    }

    /// Takes in what a slave says of its disk; true when that is news.
    func note(_ name: ServerName, fault: ServerFault?) -> Bool {
        guard members[name] != nil, members[name]?.fault != fault else { return false }
        members[name]?.fault = fault
        share()
        return true
    }

    func fault(_ name: ServerName) -> ServerFault? { members[name]?.fault }

    func setState(_ name: ServerName, _ state: ServerState) {
        members[name]?.record.state = state
        share()
    }

    func setQuota(_ name: ServerName, _ quota: Int64) {
        members[name]?.record.quota = quota
        share()
    }

    /// `boot` is the start of its slave whose complete report was taken in; nil makes the last one void.
    func setReconciled(_ name: ServerName, boot: String?) {
        members[name]?.reconciledBoot = boot
        share()
    }
    func isReconciled(_ name: ServerName) -> Bool { members[name]?.isReconciled ?? false }

    func doubt(_ name: ServerName) { doubtful.insert(name) }
    func trust(_ name: ServerName) { doubtful.remove(name) }
    func isDoubtful(_ name: ServerName) -> Bool { doubtful.contains(name) }

    var records: [ServerRecord] { members.values.map(\.record).sorted { $0.name < $1.name } }

    /// Those that take new blobs: up, not draining, with a disk that is well.
    var receiving: [ServerRecord] { members.values.filter(\.isReceiving).map(\.record).sorted { $0.name < $1.name } }

    /// Those that have not spoken to this master since it leads.
    var silent: [Peer] {
        members.values.filter { $0.masterHost == nil && $0.record.forget == nil }
            .map { Peer(server: $0.record.name, address: $0.record.address) }.sorted { $0.server < $1.server }
    }

    /// Those whose copies can be read, but for one.
    func readable(besides name: ServerName) -> Set<ServerName> {
        Set(records.filter { $0.name != name && $0.state != .down && $0.forget == nil }.map(\.name))
    }

    func record(_ name: ServerName) -> ServerRecord? { members[name]?.record }

    /// Where a server is reached. Throws `.notFound` for a name nobody has.
    func peer(_ name: ServerName) throws -> Peer {
        guard let record = members[name]?.record else {
            throw BrimError(.notFound, "there is no server named \(name)", advice: "brim servers lists them")
        }
        return Peer(server: name, address: record.address)
    }

    /// Where these servers are reached, without those that were forgotten.
    func peers(_ names: Set<ServerName>) -> [ServerName: Peer] {
        Dictionary(names.compactMap { name in (try? peer(name)).map { (name, $0) } }) { first, _ in first }
    }

    /// The URL under which this server reaches a master; empty when it never spoke to this one (it then uses its own list).
    func masterURL(for name: ServerName) -> String {
        members[name]?.masterHost.map { "http://\($0)" } ?? ""
    }

    /// Tells the planner what is known of the servers, by the settings as they are now.
    func share() {
        let snapshots = snapshots
        ledger.decide { $0.update(servers: snapshots) }
    }

    /// All servers as the planner sees them.
    var snapshots: [ServerSnapshot] {
        let headroom = settings.headroom
        return members.values.map { member in
            let record = member.record
            return ServerSnapshot(
                name: record.name, zone: record.zone, receives: member.isReceiving,
                reconciled: member.isReconciled, readable: record.state != .down, counted: record.isCounted,
                quota: record.quota, brim: headroom.brim(ofQuota: record.quota), usage: record.usage, load: record.load)
        }
    }

    /// Of one start of a slave the greater count is newer; another start is always taken as newer.
    private static func isNewer(_ usage: ServerUsage, than known: ServerUsage) -> Bool {
        usage.boot != known.boot || usage.count >= known.count
    }
}

extension ServerRecord {
    /// Bytes that may still be stored: within the quota and on the disk, at least 0.
    var free: Int64 { max(0, min(quota - usage.used, usage.diskFree)) }

    /// Whether the disk has less room than the quota leaves, and next to none.
    var isDiskFull: Bool { usage.diskFree < quota - usage.used && usage.diskFree < quota / 100 }
}
