import ArgumentParser
import BrimMaster
import BrimModel
import BrimWire
import Foundation
import Logging
import ServiceLifecycle

/// A master inside a program of one's own, with a policy written in Swift.
///
///     BRIM_PASSWORD=secret swift run embedded-master --data ./swarm
///
/// It is a master like any other: slaves join it, and `brim` talks to it. All masters of a swarm should have the same
/// policies, or a file's n depends on which of them was asked.
@main
struct EmbeddedMaster: AsyncParsableCommand {
    @Option(help: "Where its own mongod keeps its data, unless --mongodb is given.")
    var data = "brim-data"

    @Option(help: "The URI of a MongoDB replica set.")
    var mongodb: String?

    @Option(help: "The name of the database.")
    var database = "brim"

    @Option(
        help: "Where to listen.", transform: { try HostPort(parsing: $0, defaultHost: "0.0.0.0", defaultPort: 4242) })
    var listen = HostPort(host: "0.0.0.0", port: 4242)

    func run() async throws {
        guard let password = ProcessInfo.processInfo.environment["BRIM_PASSWORD"] else {
            throw ValidationError("set BRIM_PASSWORD to the swarm's password")
        }
        var configuration = MasterConfiguration(
            listen: listen, mongodb: mongodb, database: database, dataDirectory: URL(fileURLWithPath: data),
            keys: try SwarmKeys(password: password))
        configuration.policies = [CheapIsKeptOften(usual: 3)]
        let logger = Logger(label: "embedded-master")
        let master = MasterService(configuration: configuration, logger: logger)
        try await ServiceGroup(
            services: [master], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger
        ).run()
    }
}
