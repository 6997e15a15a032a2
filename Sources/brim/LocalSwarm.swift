import BrimClient
import BrimMaster
import BrimModel
import BrimSlave
import BrimWire
import Foundation
import Logging
import ServiceLifecycle

/// The password of a swarm on this machine: the one that is set, else one of its own in the data directory.
struct LocalSecret: Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    let password: String
    /// Where others find it; nil when they have it in `BRIM_PASSWORD`.
    let file: String?

    /// Makes a password file, readable for its owner only, when none is set and none is there yet.
    init(_ settings: Settings, file: String?, data: URL) throws {
        if let password = try settings.passwordIfSet(file: file) {
            self.password = password
            self.file = try settings.text("password-file", flag: file).map { URL(fileURLWithPath: $0).path }
            return
        }
        let own = data.appendingPathComponent("password").path
        if !FileManager.default.fileExists(atPath: own) { try Self.make(own, in: data) }
        guard let password = try settings.passwordIfSet(file: own) else {
            throw BrimError(.io, "the password file '\(own)' cannot be read")
        }
        self.password = password
        self.file = own
    }

    /// Nothing of the password: services are described in logs with all they hold.
    var description: String { "LocalSecret" }
    var debugDescription: String { description }

    private static func make(_ path: String, in directory: URL) throws {
        var random = SystemRandomNumberGenerator()
        let bytes = (0..<24).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        let line = Data((Data(bytes).base64EncodedString() + "\n").utf8)
        do {
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        } catch {
            throw BrimError(.io, "cannot make the directory '\(directory.path)': \(error.localizedDescription)")
        }
        guard FileManager.default.createFile(atPath: path, contents: line, attributes: [.posixPermissions: 0o600])
        else {
            throw BrimError(.io, "cannot write the password file '\(path)'", advice: "Choose another --data directory")
        }
    }
}

/// The slaves of a swarm on this machine: started when its master serves, named alpha, bravo, charlie, …
struct LocalSlaves: Service, CustomStringConvertible {
    /// As many as there are names.
    static let most = names.count
    private static let names = [
        "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima",
        "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey",
        "xray", "yankee", "zulu",
    ]

    let master: MasterService
    let count: Int
    let quota: QuotaSetting
    let data: URL
    let keys: SwarmKeys
    let secret: LocalSecret

    /// In logs.
    var description: String { "LocalSlaves" }

    func run() async throws {
        let url: String
        do {
            url = try await cancelWhenGracefulShutdown { [master] in try await master.url }
        } catch {
            // Told to stop; or the master did not start, and reports itself why.
            return
        }
        Self.tell("master   \(url)   data in \(data.appendingPathComponent("master").path)")
        let slaves = try Self.names.prefix(count).map { try slave($0, master: url) }
        let announcement = LocalAnnouncement(
            names: Array(Self.names.prefix(count)), url: url, data: data, secret: secret)
        let logger = Logger(label: "brim.up")
        try await ServiceGroup(services: slaves + [announcement], logger: logger).run()
    }

    private func slave(_ name: String, master url: String) throws -> any Service {
        var logger = Logger(label: "brim.slave")
        logger[metadataKey: "server.name"] = "\(name)"
        let configuration = SlaveConfiguration(
            masters: [url], dataDirectory: data.appendingPathComponent(name).path, quota: quota,
            name: try ServerName(validating: name), keys: keys, version: BuildInfo.version)
        return SlaveService(configuration: configuration, logger: logger)
    }

    static func tell(_ line: String) {
        print(line)
        Console.flush()
    }
}

/// Says when each slave is up, and then how to use the swarm.
private struct LocalAnnouncement: Service, CustomStringConvertible {
    let names: [String]
    let url: String
    let data: URL
    let secret: LocalSecret

    /// In logs.
    var description: String { "LocalAnnouncement" }

    func run() async throws {
        let client = try BrimClient(
            masters: [url], memory: nil, password: secret.password, logger: Logger(label: "brim.client"))
        await announce(client)
        await client.shutdown()
        try? await gracefulShutdown()
    }

    private func announce(_ client: BrimClient) async {
        var awaited = Set(names)
        while !awaited.isEmpty {
            for server in (try? await client.servers()) ?? [] where [.up, .draining].contains(server.state) {
                guard awaited.remove(server.name.rawValue) != nil else { continue }
                let room = "\(ByteCount.format(server.quota)), \(counted(server.files, "file"))"
                let place = data.appendingPathComponent(server.name.rawValue).path
                LocalSlaves.tell("\(server.name)   \(server.address)   \(room), data in \(place)")
            }
            if Task.isShuttingDownGracefully || Task.isCancelled { return }
            try? await Task.sleep(for: .milliseconds(200))
        }
        let file = secret.file.map { " BRIM_PASSWORD_FILE=\(Self.quoted($0))" } ?? ""
        LocalSlaves.tell(
            """

            The swarm is up; Ctrl-C ends it. In another shell:

              export BRIM_MASTER=\(url)\(file)
              brim status

            """)
    }

    /// As a shell reads it.
    private static func quoted(_ text: String) -> String {
        let plain = text.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "/._-+:@%".contains($0)) }
        return plain ? text : "'" + text.replacing("'", with: "'\\''") + "'"
    }
}
