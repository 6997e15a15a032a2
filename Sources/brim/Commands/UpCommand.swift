import ArgumentParser
import BrimMaster
import BrimModel
import BrimSlave
import BrimWire
import Foundation
import Logging

/// `brim up`
struct UpCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Run a whole swarm on this machine: mongod, master and slaves.",
        discussion: """
            For trying things out. It stays in the foreground until Ctrl-C, and goes on where it stopped when started \
            again. What to export for the other commands is printed when it is up.

              brim up
              brim up --slaves 5 --quota 10G --data /srv/try --copies 2
            """)

    @Option(help: ArgumentHelp("How many slaves. (default: 3)", valueName: "number"), transform: parseSlaves)
    var slaves: Int?

    @Option(
        help: ArgumentHelp("Room for each slave. (default: 1G)", valueName: "size"),
        transform: { try QuotaSetting(parsing: $0) })
    var quota: QuotaSetting?

    @Option(help: ArgumentHelp("Where everything is kept. (default: ./brim-data)", valueName: "directory"))
    var data: String?

    @Option(
        help: ArgumentHelp(
            "Where the master listens. (default: 127.0.0.1:4242, or the next free port)", valueName: "host:port"),
        transform: parseLocalListen)
    var listen: HostPort?

    @OptionGroup var master: MasterOptions
    @OptionGroup var secrets: SecretOptions
    @OptionGroup var global: GlobalOptions

    /// What is of interest is printed.
    var usualLogLevel: Logger.Level { .notice }

    func run() async throws {
        let settings = try await secrets.settings()
        let data = URL(fileURLWithPath: try settings.text("data", flag: data) ?? "brim-data")
        let secret = try LocalSecret(settings, file: secrets.passwordFile, data: data)
        let keys = try SwarmKeys(password: secret.password)
        let listen = try settings.value("listen", flag: listen, parse: parseLocalListen)
        let configuration = try master.configuration(
            settings, listen: listen ?? HostPort(host: "127.0.0.1", port: defaultMasterPort),
            fallbackPorts: listen == nil, data: data.appendingPathComponent("master"), keys: keys)
        let service = MasterService(configuration: configuration, logger: Logger(label: "brim.master"))
        let slaves = LocalSlaves(
            master: service, count: try settings.value("slaves", flag: slaves, default: 3, parse: parseSlaves),
            quota: try settings.value("quota", flag: quota, default: .bytes(1_000_000_000)) {
                try QuotaSetting(parsing: $0)
            }, data: data, keys: keys, secret: secret)
        try await serve([service, slaves], logger: Logger(label: "brim.up"))
    }
}

@Sendable private func parseLocalListen(_ text: String) throws -> HostPort {
    try HostPort(parsing: text, defaultHost: "127.0.0.1", defaultPort: defaultMasterPort)
}

@Sendable private func parseSlaves(_ text: String) throws -> Int {
    guard let count = Int(text), (1...LocalSlaves.most).contains(count) else {
        throw BrimError(.invalid, "'\(text)' is not a number of slaves", advice: "Give 1 to \(LocalSlaves.most)")
    }
    return count
}
