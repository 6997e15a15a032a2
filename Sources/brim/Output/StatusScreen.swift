import BrimModel
import BrimWire

/// The state of a swarm on one screen.
struct StatusScreen {
    private static let barColumns = 24
    /// Rows of the histogram; those in the middle are left out beyond it.
    private static let levelRows = 12

    private let status: StatusReply

    init(_ status: StatusReply) { self.status = status }

    func lines() -> [String] {
        var lines = summary()
        if !status.surplus.isEmpty { lines += [""] + histogram() }
        if let masters = status.masters, masters.count > 1 { lines += [""] + Self.masters(masters) }
        if !status.warnings.isEmpty { lines += [""] + status.warnings.map { "WARNING: \(Console.shown($0))" } }
        return lines + [""] + Self.servers(status.servers)
    }

    /// The gist, for logs.
    func line() -> String {
        let up = status.servers.count { $0.state == .up }
        return """
            \(Timestamp.now.description.prefix(19))Z files=\(status.files) bytes=\(status.bytes) \
            minSurplus=\(signed(status.minSurplus)) maxSurplus=\(signed(status.maxSurplus)) \
            unreachable=\(status.unreachable) copying=\(status.copying) atRest=\(status.atRest) \
            up=\(up)/\(status.servers.count)\(status.warnings.isEmpty ? "" : " warnings=\(status.warnings.count)")
            """
    }

    private func summary() -> [String] {
        var table = Table([.left(""), .left("")])
        table.add(["files", "\(status.files), \(ByteCount.format(status.bytes))"])
        table.add(["surplus", "\(range)  \(meaning)"])
        if status.unreachable > 0 {
            table.add(["unreachable", "\(counted(status.unreachable, "file")): no server that holds it answers"])
        }
        if let trash = status.trash, trash.files > 0 {
            table.add(["trash", "\(counted(trash.files, "file")) and old versions, \(ByteCount.format(trash.bytes))"])
        }
        table.add([
            "copying", status.atRest && status.copying == 0 ? "nothing: at rest" : "\(status.copying) under way",
        ])
        if let budget = status.failureBudget {
            for (name, loss) in [("losing any one", budget.one), ("losing any two", budget.two)] {
                if let loss { table.add([name, Self.text(loss)]) }
            }
        }
        if let growth = status.growth { table.add(["growth", Self.text(growth)]) }
        if let drill = status.drill {
            let outcome = drill.differing == 0 ? "as on the servers" : counted(drill.differing, "difference")
            table.add(["rebuild drill", "\(counted(drill.entries, "entry", "entries")) of \(drill.when): \(outcome)"])
        }
        table.add(["leader", status.leader ?? "none: nobody decides on copies until one is elected"])
        return table.lines()
    }

    private static func text(_ loss: StatusReply.FailureBudget.Loss) -> String {
        let names = loss.servers.map(\.rawValue).joined(separator: " and ")
        let lost = lostText(loss.filesLost, bytes: loss.bytesLost)
        return "\(lost), surplus \(signed(loss.minSurplus)) or more left (\(names), the worst)"
    }

    private static func text(_ growth: StatusReply.Growth) -> String {
        let rate = "\(growth.bytesPerDay < 0 ? "-" : "")\(ByteCount.format(Int64(abs(growth.bytesPerDay)))) a day"
        guard let end = growth.exhausted else { return "\(rate): room for a spare copy of each file lasts" }
        let day = end.description.prefix(10)
        return "\(rate): room for a spare copy of each file lasts until \(day)"
    }

    private var range: String {
        guard let least = status.minSurplus, let most = status.maxSurplus else { return "-" }
        return "\(signed(least)) … \(signed(most))"
    }

    private var meaning: String {
        guard let least = status.minSurplus else { return "(no files)" }
        let worst = status.surplus.first { $0.surplus == least }.map { counted($0.files, "file") } ?? "some files"
        switch least {
        case ..<0: return "(at risk: \(worst) with \(counted(-least, "copy", "copies")) missing)"
        case 0: return "(as wanted)"
        default: return "(safe: every file has \(counted(least, "spare copy", "spare copies")) or more)"
        }
    }

    private func histogram() -> [String] {
        let levels = status.surplus.sorted { $0.surplus < $1.surplus }
        let most = Double(levels.map(\.files).max() ?? 1)
        var table = Table([.right("SURPLUS"), .right("FILES"), .right("BYTES"), .left("")])
        let half = Self.levelRows / 2
        for (row, level) in levels.enumerated() {
            if levels.count > Self.levelRows, (half..<levels.count - half).contains(row) {
                if row == half { table.add(["…", "", "", ""]) }
                continue
            }
            let share = Double(level.files) / max(1, most)
            table.add([
                signed(level.surplus), "\(level.files)", ByteCount.format(level.bytes),
                bar(share, width: Self.barColumns, empty: " "),
            ])
        }
        return table.lines()
    }

    private static func masters(_ masters: [MasterStatus]) -> [String] {
        var table = Table([.left("MASTER"), .left("STATE"), .left("VERSION")])
        for master in masters.sorted(by: { $0.url < $1.url }) {
            let state =
                master.leader
                ? "leader" : master.live ? "up" : "silent since \(master.heartbeat.description.prefix(19))Z"
            table.add([Console.shown(master.url), state, Console.shown(master.version)])
        }
        return table.lines()
    }

    static func servers(_ servers: [ServerStatus]) -> [String] {
        guard !servers.isEmpty else { return ["no servers: start one with 'brim slave'"] }
        var table = Table([
            .left("SERVER"), .left("STATE"), .left("ZONE"), .left(""), .right("FULL"), .right("USED"), .right("SPARE"),
            .right("TRASH"), .right("QUOTA"), .right("FILES"), .right("MAX SURPLUS"), .right("LOAD"),
        ])
        for server in servers.sorted(by: { $0.name < $1.name }) {
            let share = server.quota > 0 ? Double(server.used) / Double(server.quota) : 1
            table.add([
                server.name.rawValue, server.state.rawValue, Console.shown(server.zone), bar(share, width: 12),
                percent(share), ByteCount.format(server.used), bytes(server.spare), bytes(server.trash),
                ByteCount.format(server.quota), "\(server.files)", signed(server.maxSurplus), percent(server.load.peak),
            ])
        }
        let remarks = servers.sorted { $0.name < $1.name }.compactMap { server in
            server.remark.map { "\(server.name): \(Console.shown($0))" }
        }
        return table.lines() + (remarks.isEmpty ? [] : [""] + remarks)
    }
}
