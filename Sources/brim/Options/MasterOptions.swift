import ArgumentParser
import BrimMaster
import BrimModel
import BrimWire
import Foundation

/// What a master can be told; `brim up` takes the same.
struct MasterOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "A MongoDB replica set, version 5 or newer; or the members of one that 'brim mongod' runs. (default: a mongod of "
                + "its own)", valueName: "uri|host[,host...]"),
        transform: { try MongodbSetting(parsing: $0) })
    var mongodb: MongodbSetting?

    @Option(
        help: ArgumentHelp(
            "The mongod to start. BRIM_MONGOD. (default: on PATH, or as deploy/get-mongod installs it)",
            valueName: "path"))
    var mongod: String?

    @Option(help: ArgumentHelp("The database's name. (default: brim)", valueName: "name"))
    var database: String?

    @Option(
        help: ArgumentHelp(
            "The address that slaves, clients and other masters reach it at. (default: the one it listens on, or from "
                + "which it reaches MongoDB)", valueName: "host:port"),
        transform: parseAdvertise)
    var advertise: HostPort?

    @Option(
        help: ArgumentHelp(
            "Silence of the leading master after which another one leads: 1s to 60s. (default: 5s)",
            valueName: "duration"),
        transform: leaseTime)
    var lease: Duration?

    @Option(
        help: ArgumentHelp("How often servers report that they live. (default: 5s)", valueName: "duration"),
        transform: positiveDuration)
    var heartbeat: Duration?

    @Option(
        help: ArgumentHelp(
            "Silence after which a server gets no new copies. (default: 15s)", valueName: "duration"),
        transform: positiveDuration)
    var suspectAfter: Duration?

    @Option(
        help: ArgumentHelp(
            "Silence after which its copies count no longer and are made elsewhere. (default: 5m)",
            valueName: "duration"),
        transform: positiveDuration)
    var downAfter: Duration?

    @Option(
        help: ArgumentHelp(
            "Wanted copies of a file for which nothing else says otherwise. (default: 3)",
            valueName: "number"),
        transform: copyCount)
    var copies: Int?

    @Option(
        help: ArgumentHelp("Copies that a write waits for, at most. (default: 2)", valueName: "number"),
        transform: copyCount)
    var writeCopies: Int?

    @Option(
        help: ArgumentHelp(
            "Copies that a file is given, at most, spare ones included. (default: 16)",
            valueName: "number"),
        transform: copyCount)
    var maxCopies: Int?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "The surplus that a file must exceed to give up a copy; 'none' shares a shortage evenly. (default: 0)",
            valueName: "surplus"),
        transform: surplusFloor)
    var floor: Int?

    @Option(
        help: ArgumentHelp(
            "What is kept free of spare copies on each server: a share of its quota, or a size. (default: 2%)",
            valueName: "size"),
        transform: { try Headroom(parsing: $0) })
    var headroom: Headroom?

    @Option(
        help: ArgumentHelp(
            "How often it is shown on a sample that lost metadata could be rebuilt; 0 is never. (default: 24h)",
            valueName: "duration"),
        transform: drillInterval)
    var drillEvery: Duration?

    @Option(
        help: ArgumentHelp(
            "A program of yours that says how many copies files should have where no rule does; see 'brim policy'.",
            valueName: "file"))
    var policyProgram: String?

    @Option(
        help: ArgumentHelp(
            "How long that program may take for one question; then a file has the default. (default: 1s)",
            valueName: "duration"),
        transform: positiveDuration)
    var policyDeadline: Duration?

    /// Throws `.invalid` for values from variables or files that are wrong or do not go together.
    func swarmSettings(_ settings: Settings) throws -> SwarmSettings {
        var swarm = SwarmSettings()
        try setTimes(&swarm, settings)
        swarm.copies = try settings.value("copies", flag: copies, default: swarm.copies, parse: copyCount)
        swarm.writeCopies = try settings.value(
            "write-copies", flag: writeCopies, default: swarm.writeCopies, parse: copyCount)
        swarm.maxCopies = try settings.value("max-copies", flag: maxCopies, default: swarm.maxCopies, parse: copyCount)
        swarm.floor = try settings.value("floor", flag: floor, default: swarm.floor, parse: surplusFloor)
        swarm.headroom = try settings.value("headroom", flag: headroom, default: swarm.headroom) {
            try Headroom(parsing: $0)
        }
        swarm.drillEvery = try settings.value(
            "drill-every", flag: drillEvery, default: swarm.drillEvery, parse: drillInterval)
        return swarm
    }

    /// Those times that nobody set are made to fit those that somebody did. Throws a `UsageError` when they do not go
    /// together.
    private func setTimes(_ swarm: inout SwarmSettings, _ settings: Settings) throws {
        let heartbeat = try settings.value("heartbeat", flag: heartbeat, parse: positiveDuration)
        let suspectAfter = try settings.value("suspect-after", flag: suspectAfter, parse: positiveDuration)
        let downAfter = try settings.value("down-after", flag: downAfter, parse: positiveDuration)
        swarm.downAfter = downAfter ?? max(swarm.downAfter, (suspectAfter ?? heartbeat ?? .zero) * 4)
        swarm.suspectAfter = suspectAfter ?? max(min(swarm.suspectAfter, swarm.downAfter / 2), (heartbeat ?? .zero) * 2)
        swarm.heartbeat = heartbeat ?? min(swarm.heartbeat, swarm.suspectAfter / 3)
        let times = [swarm.heartbeat, swarm.suspectAfter, swarm.downAfter]
        guard times[0] < times[1], times[1] < times[2] else {
            throw UsageError(
                "--heartbeat, --suspect-after and --down-after must rise: they are "
                    + times.map(DurationText.format).joined(separator: ", "))
        }
    }

    /// A master's configuration with its data in `data`.
    func configuration(
        _ settings: Settings, listen: HostPort, fallbackPorts: Bool, data: URL, keys: SwarmKeys
    ) throws -> MasterConfiguration {
        let advertise = try settings.value("advertise", flag: advertise, parse: parseAdvertise)
        let mongodb = try settings.value("mongodb", flag: mongodb) { try MongodbSetting(parsing: $0) }
        var configuration = MasterConfiguration(
            listen: listen, advertise: advertise,
            lease: try settings.value("lease", flag: lease, default: .seconds(5), parse: leaseTime),
            version: BuildInfo.version, fallbackPorts: fallbackPorts,
            mongodb: mongodb?.uri(keys), mongodbUserPatience: mongodb?.userPatience ?? .zero,
            database: try settings.text("database", flag: database) ?? "brim", dataDirectory: data,
            mongodPath: try settings.text("mongod", flag: mongod), settings: try swarmSettings(settings),
            given: try given(settings), keys: keys)
        configuration.policyProgram = try settings.text("policy-program", flag: policyProgram).map(Self.executable)
        configuration.policyDeadline = try settings.value(
            "policy-deadline", flag: policyDeadline, default: configuration.policyDeadline, parse: positiveDuration)
        return configuration
    }

    /// Throws `.notFound` for a program that cannot be started.
    private static func executable(_ path: String) throws -> String {
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw BrimError(
                .notFound, "the policy program '\(path)' is no executable file",
                advice: "See that --policy-program names one, and make it executable with chmod +x")
        }
        return path
    }

    /// The settings that somebody gave, by a flag, a variable or a file. Of the times, that must fit, all or none.
    private func given(_ settings: Settings) throws -> Set<SwarmSetting> {
        let flags: [SwarmSetting: Bool] = [
            .copies: copies != nil, .writeCopies: writeCopies != nil, .maxCopies: maxCopies != nil,
            .floor: floor != nil, .headroom: headroom != nil, .heartbeat: heartbeat != nil,
            .suspectAfter: suspectAfter != nil, .downAfter: downAfter != nil, .drillEvery: drillEvery != nil,
        ]
        var given: Set<SwarmSetting> = []
        for (setting, isFlag) in flags {
            if try isFlag || settings.text(setting.rawValue, flag: nil) != nil { given.insert(setting) }
        }
        let times: Set<SwarmSetting> = [.heartbeat, .suspectAfter, .downAfter]
        return given.isDisjoint(with: times) ? given : given.union(times)
    }
}

/// The MongoDB that a master is to use.
enum MongodbSetting: Sendable {
    case uri(String)
    /// Members of the replica set that the swarm runs itself.
    case members([HostPort])

    /// Throws `.invalid`.
    init(parsing text: String) throws {
        guard !text.hasPrefix("mongodb://"), !text.hasPrefix("mongodb+srv://") else {
            self = .uri(text)
            return
        }
        guard !text.contains("://") else {
            throw BrimError(
                .invalid, "'\(text)' is no MongoDB URI",
                advice: "Write mongodb://HOST[,HOST…]/?replicaSet=NAME, or HOST[,HOST…] where 'brim mongod' runs")
        }
        self = .members(try mongodMembers(parsing: text))
    }

    func uri(_ keys: SwarmKeys) -> String {
        switch self {
        case .uri(let uri): uri
        case .members(let hosts): MongodMembers(hosts, keys: keys).uri
        }
    }

    /// The user of a replica set of the swarm's own is entered once it has a primary.
    var userPatience: Duration {
        if case .members = self { .seconds(120) } else { .zero }
    }
}

/// A time of at least a millisecond. Throws `.invalid`.
@Sendable func positiveDuration(_ text: String) throws -> Duration {
    let duration = try DurationText.parse(text)
    guard duration >= .milliseconds(1) else { throw BrimError(.invalid, "'\(text)' is too short") }
    return duration
}

/// Throws `.invalid`.
@Sendable private func drillInterval(_ text: String) throws -> Duration {
    var settings = SwarmSettings()
    try SwarmSetting.drillEvery.set(text, in: &settings)
    return settings.drillEvery
}

/// Throws `.invalid`.
@Sendable private func leaseTime(_ text: String) throws -> Duration {
    let duration = try DurationText.parse(text)
    guard (.seconds(1)...(.seconds(60))).contains(duration) else {
        throw BrimError(.invalid, "a lease of '\(text)'", advice: "Give 1s to 60s")
    }
    return duration
}

/// A port of 0 stands for the one that is listened on.
@Sendable private func parseAdvertise(_ text: String) throws -> HostPort {
    try HostPort(parsing: text, defaultHost: "127.0.0.1", defaultPort: 0)
}

@Sendable private func copyCount(_ text: String) throws -> Int {
    guard let count = Int(text), (1...Limits.maxCopies).contains(count) else {
        throw BrimError(.invalid, "'\(text)' is not a number of copies", advice: "Give 1 to \(Limits.maxCopies)")
    }
    return count
}

@Sendable private func surplusFloor(_ text: String) throws -> Int {
    // No surplus is lower than that of a file without a copy.
    if text == "none" { return -Limits.maxCopies - 1 }
    guard let floor = Int(text), abs(floor) <= Limits.maxCopies else {
        throw BrimError(
            .invalid, "'\(text)' is not a surplus", advice: "Give -\(Limits.maxCopies) to \(Limits.maxCopies), or none")
    }
    return floor
}
