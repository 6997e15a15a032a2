import BrimModel

@testable import BrimPlacement

/// Short ways to make the values that rules are tested with.
func name(_ text: String) -> ServerName {
    guard let name = ServerName(rawValue: text) else { preconditionFailure("'\(text)' is no server name") }
    return name
}

func blob(_ number: Int64) -> BlobID {
    let bytes = (0..<12).map { $0 < 4 ? 0 : UInt8(truncatingIfNeeded: number >> (8 * (11 - $0))) }
    guard let blob = BlobID(bytes: bytes) else { preconditionFailure("12 bytes are a blob id") }
    return blob
}

func needy(_ id: Int64, size: Int64 = 1, surplus: Int = 0, on holders: String...) -> NeedyFile {
    NeedyFile(file: FileID(id), blob: blob(id), size: size, surplus: surplus, replicas: holders.map(name))
}

func victim(_ id: Int64, size: Int64 = 1, surplus: Int = 2, on holders: String...) -> Victim {
    Victim(file: FileID(id), blob: blob(id), size: size, surplus: surplus, replicas: holders.map(name))
}

/// A server in a zone of its own unless said otherwise, with the brim at its quota.
func server(
    _ text: String, zone: String? = nil, receives: Bool = true, reconciled: Bool = true, readable: Bool = true,
    counted: Bool? = nil, quota: Int64 = 100,
    brim: Int64? = nil, used: Int64 = 0, diskFree: Int64 = .max, cpu: Double = 0
) -> ServerSnapshot {
    ServerSnapshot(
        name: name(text), zone: zone ?? text, receives: receives, reconciled: reconciled, readable: readable,
        counted: counted, quota: quota, brim: brim ?? quota,
        used: used, diskFree: diskFree, load: ServerLoad(cpu: cpu))
}

func usage(_ count: Int64, used: Int64, writing: Int64 = 0, boot: String = "boot") -> ServerUsage {
    ServerUsage(boot: boot, count: count, used: used, reserved: writing, writing: writing, diskFree: 1 << 40, files: 0)
}

func makePlanner(floor: Int = 0, limits: PlannerLimits = PlannerLimits(), _ servers: ServerSnapshot...) -> Planner {
    var planner = Planner(floor: floor, limits: limits)
    planner.update(servers: servers)
    return planner
}

extension Placement {
    /// The target's name; nil for anything but a copy.
    var target: String? {
        if case .copy(let plan) = self { plan.target.rawValue } else { nil }
    }
    var plan: CopyPlan? {
        if case .copy(let plan) = self { plan } else { nil }
    }
    var candidates: [String]? {
        if case .makeRoom(let servers) = self { servers.map(\.rawValue) } else { nil }
    }
}

extension WritePlacement {
    var targets: [WriteTarget]? {
        if case .targets(let targets) = self { targets } else { nil }
    }
    var names: [String]? { targets?.map(\.server.rawValue) }
    var shortage: Shortage? {
        if case .full(let shortage) = self { shortage } else { nil }
    }
}
