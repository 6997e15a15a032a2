import ArgumentParser
import BrimModel
import BrimWire
import Foundation

/// `brim token`
struct TokenCommand: BrimCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Make a token for curl and other programs.",
        discussion: """
            Needs the password but no running swarm. Without --read and --write it allows both.

              curl -L -H "Authorization: Bearer $(brim token)" -T song.mp3 http://master:4242/v1/files/music/song.mp3
              brim token --read --path /music --expires 7d
            """)

    @Flag(help: "Allow reading.") var read = false
    @Flag(help: "Allow writing.") var write = false
    @Flag(help: "Allow everything, servers' settings included.") var admin = false

    @Option(
        help: ArgumentHelp("Allow it only below this path. (default: /)", valueName: "remote"),
        transform: { try RemotePath(parsing: $0) })
    var path: RemotePath?

    @Option(
        help: ArgumentHelp("How long it is valid: 30s, 5m, 1h, 7d. (default: 1h)", valueName: "duration"),
        transform: { try DurationText.parse($0) })
    var expires: Duration?

    @OptionGroup var secrets: SecretOptions
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        if admin && (read || write || path != nil) {
            throw ValidationError("--admin allows everything: it does not go with --read, --write and --path.")
        }
        if let expires, expires < .seconds(1) { throw ValidationError("A token is valid for 1s at least.") }
    }

    func run() async throws {
        let settings = try await secrets.settings()
        let keys = try SwarmKeys(password: try secrets.password(settings))
        let lifetime = expires ?? .seconds(3600)
        let subject = ProcessInfo.processInfo.environment["USER"] ?? "token"
        let both = !read && !write
        let claims: TokenClaims =
            admin
            ? .admin(subject: subject, lifetime: lifetime)
            : .user(
                subject: subject, path: path?.path, read: read || both, write: write || both, lifetime: lifetime)
        let token = try keys.sign(claims)
        if global.json {
            let expires = Timestamp(seconds: claims.expires, nanoseconds: 0)
            try Console.printJSON(["token": token, "expires": expires.description])
        } else {
            print(token)
        }
    }
}
