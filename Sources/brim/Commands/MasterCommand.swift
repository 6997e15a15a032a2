import ArgumentParser
import BrimMaster
import BrimModel
import BrimWire
import Foundation
import Logging

/// `brim master`
struct MasterCommand: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "master",
        abstract: "Run a master: serves names and decides where copies are.",
        discussion: """
            Its state is in MongoDB. Without --mongodb it starts a mongod of its own and keeps its data below --data.

              brim master --password-file /etc/brim/password
              brim master --mongodb m1,m2,m3              (each runs 'brim mongod', too)
              brim master --mongodb 'mongodb://m1,m2,m3/?replicaSet=rs0' --copies 3 --write-copies 2
            """)

    @Option(
        help: ArgumentHelp("Where to listen. (default: 0.0.0.0:4242)", valueName: "host:port"),
        transform: parseListen)
    var listen: HostPort?

    @Option(help: ArgumentHelp("Where its own mongod keeps its data. (default: ./brim-data)", valueName: "directory"))
    var data: String?

    @OptionGroup var master: MasterOptions
    @OptionGroup var secrets: SecretOptions
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let settings = try await secrets.settings()
        let keys = try SwarmKeys(password: try secrets.password(settings))
        let listen = try settings.value(
            "listen", flag: listen, default: HostPort(host: "0.0.0.0", port: defaultMasterPort), parse: parseListen)
        let data = URL(fileURLWithPath: try settings.text("data", flag: data) ?? "brim-data")
        let configuration = try master.configuration(
            settings, listen: listen, fallbackPorts: false, data: data, keys: keys)
        let logger = Logger(label: "brim.master")
        try await serve([MasterService(configuration: configuration, logger: logger)], logger: logger)
    }
}

@Sendable func parseListen(_ text: String) throws -> HostPort {
    try HostPort(parsing: text, defaultHost: "0.0.0.0", defaultPort: defaultMasterPort)
}
