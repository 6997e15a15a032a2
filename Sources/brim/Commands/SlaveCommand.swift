import ArgumentParser
import BrimModel
import BrimSlave
import BrimWire
import Foundation
import Logging

/// `brim slave`
struct SlaveCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "slave",
        abstract: "Run a slave: stores copies in one directory of this machine.",
        discussion: """
            One per disk. It fills its quota to the brim by itself, with spare copies that give way when room is needed.

              brim slave --master http://m1:4242 --data /srv/brim --quota 80%
              brim slave --master http://m1:4242,http://m2:4242 --data /mnt/disk2 --quota 2T --zone rack-7
            """)

    @Option(
        name: .customLong("master"),
        help: ArgumentHelp("The swarm's masters. BRIM_MASTER.", valueName: "url[,url...]"),
        transform: { try masterURLs(parsing: $0) })
    var masters: [String]?

    @Option(help: ArgumentHelp("Where to keep blobs; made when missing.", valueName: "directory"))
    var data: String?

    @Option(
        help: ArgumentHelp("Room to use: 10 (bytes), 500G, 2TiB, or 80% of the disk.", valueName: "size"),
        transform: { try QuotaSetting(parsing: $0) })
    var quota: QuotaSetting?

    @Option(
        help: ArgumentHelp("Its name in the swarm. (default: that of the host, with -2, -3, … for more)"),
        transform: { try ServerName(validating: $0) })
    var name: ServerName?

    @Option(help: ArgumentHelp("Copies go to different zones where they can. (default: the host)"))
    var zone: String?

    @Option(
        help: ArgumentHelp("Where to listen. (default: 0.0.0.0:4243, or the next free port)", valueName: "host:port"),
        transform: parseSlaveAddress)
    var listen: HostPort?

    @Option(
        help: ArgumentHelp(
            "The address that others reach it at. (default: the one from which it reaches the master)",
            valueName: "host:port"),
        transform: parseSlaveAddress)
    var advertise: HostPort?

    @Option(
        help: ArgumentHelp(
            "Age at which a blob that no master has confirmed is asked about, and deleted if no file has it. "
                + "(default: 15m)",
            valueName: "duration"),
        transform: positiveDuration)
    var pendingExpiry: Duration?

    @Option(
        help: ArgumentHelp(
            "How much of the namespace to copy, to answer readers when no master does: full; own for its own files and "
                + "all directories; auto for full up to 5 million entries, then own. (default: auto)",
            valueName: "full|own|auto"),
        transform: parseNamespace)
    var namespace: NamespaceSetting?

    @OptionGroup var secrets: SecretOptions
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let settings = try await secrets.settings()
        let configuration = try configuration(settings)
        let logger = Logger(label: "brim.slave")
        try await serve([SlaveService(configuration: configuration, logger: logger)], logger: logger)
    }

    private func configuration(_ settings: Settings) throws -> SlaveConfiguration {
        func required<Value>(_ name: String, _ value: Value?) throws -> Value {
            guard let value else {
                let variable = "BRIM_" + name.uppercased()
                throw UsageError("a slave needs --\(name) (or \(variable)). See 'brim slave --help'")
            }
            return value
        }
        let masters = try settings.value("master", flag: masters) { try masterURLs(parsing: $0) }
        let quota = try settings.value("quota", flag: quota) { try QuotaSetting(parsing: $0) }
        var slave = SlaveConfiguration(
            masters: try required("master", masters),
            dataDirectory: try required("data", try settings.text("data", flag: data)),
            quota: try required("quota", quota),
            name: try settings.value("name", flag: name) { try ServerName(validating: $0) },
            zone: try settings.text("zone", flag: zone),
            listen: try settings.value("listen", flag: listen, parse: parseSlaveAddress),
            advertise: try settings.value("advertise", flag: advertise, parse: parseSlaveAddress),
            keys: try SwarmKeys(password: try secrets.password(settings)), version: BuildInfo.version)
        slave.pendingExpiry = try settings.value(
            "pending-expiry", flag: pendingExpiry, default: slave.pendingExpiry, parse: positiveDuration)
        slave.namespace = try settings.value(
            "namespace", flag: namespace, default: slave.namespace, parse: parseNamespace)
        return slave
    }
}

@Sendable private func parseNamespace(_ text: String) throws -> NamespaceSetting {
    guard let setting = NamespaceSetting(rawValue: text) else {
        throw BrimError(.invalid, "'\(text)' is not a share of the namespace", advice: "Say full, own or auto")
    }
    return setting
}

@Sendable private func parseSlaveAddress(_ text: String) throws -> HostPort {
    try HostPort(parsing: text, defaultHost: "0.0.0.0", defaultPort: defaultSlavePort)
}
