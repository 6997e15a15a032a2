import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim settings [NAME=VALUE…]`
struct SettingsCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "settings",
        abstract: "Show or change settings of the whole swarm while it runs.",
        discussion: """
            Masters follow within five seconds and tell their slaves. A name without a value sets the usual one. A flag of a \
            master sets its value when it differs from the flag of the last start; the same flag leaves what was set here.

              brim settings
              brim settings scrub-interval=7d floor=-1
              brim settings headroom=
              brim settings breaker=reset      (give copies up again, see 'brim status')

            \(SwarmSetting.allCases.map { "  \($0.rawValue): \($0.meaning) (\($0.range))" }.joined(separator: "\n"))
            """)

    @Argument(help: ArgumentHelp("What to set, for example floor=-1.", valueName: "name=value"))
    var changes: [String] = []

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func validate() throws { _ = try values() }

    func run(_ client: BrimClient) async throws {
        let values = try values()
        let reply = values.isEmpty ? try await client.settings() : try await client.changeSettings(values)
        if global.json { return try Console.printJSON(reply) }
        var table = Table([.left("SETTING"), .left("VALUE"), .left("USUALLY"), .left("")])
        for item in reply.settings where values.isEmpty || values.keys.contains(item.name) {
            table.add([item.name, item.value, item.usual, item.meaning])
        }
        table.print()
    }

    /// Throws a `ValidationError`.
    private func values() throws -> [String: String?] {
        var values: [String: String?] = [:]
        for change in changes {
            guard let equals = change.firstIndex(of: "="), equals != change.startIndex else {
                throw ValidationError("'\(change)' is not of the form NAME=VALUE.")
            }
            let text = String(change[change.index(after: equals)...])
            values[String(change[..<equals])] = .some(text.isEmpty ? nil : text)
        }
        return values
    }
}
