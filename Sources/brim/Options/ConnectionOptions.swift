import ArgumentParser
import BrimClient
import BrimWire
import Foundation
import Logging

/// Where the swarm is, and its password.
struct ConnectionOptions: ParsableArguments, Sendable {
    static let defaultMaster = "http://127.0.0.1:4242"

    @Option(
        name: .customLong("master"),
        help: ArgumentHelp(
            "The swarm's masters; the first that answers is asked. BRIM_MASTER. (default: \(defaultMaster))",
            valueName: "url[,url...]"),
        transform: { try masterURLs(parsing: $0) })
    var masters: [String]?

    @OptionGroup var secrets: SecretOptions

    /// A client for the swarm that flags, variables and settings files name. Nothing is sent yet. `readsOffline`: whether
    /// slaves answer when no master does.
    func connect(readsOffline: Bool) async throws -> BrimClient {
        let settings = try await secrets.settings()
        let masters = try settings.value("master", flag: masters, default: [Self.defaultMaster]) {
            try masterURLs(parsing: $0)
        }
        return try BrimClient(
            masters: masters, readsOffline: readsOffline, password: try secrets.password(settings),
            logger: Logger(label: "brim.client"), notice: { Console.writeError("brim: \($0)\n") })
    }
}

/// Where settings and the swarm's password are found.
struct SecretOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "A file that holds the swarm's password. BRIM_PASSWORD_FILE, or the password itself in BRIM_PASSWORD.",
            valueName: "file"))
    var passwordFile: String?

    @Option(help: ArgumentHelp("A YAML file of settings, read before the usual ones. BRIM_CONFIG.", valueName: "file"))
    var config: String?

    func settings() async throws -> Settings { try await Settings.load(file: config) }

    func password(_ settings: Settings) throws -> String { try settings.password(file: passwordFile) }
}
