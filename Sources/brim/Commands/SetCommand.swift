import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim set REMOTE NAME=VALUE…`
struct SetCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract: "Set how many copies a file should have, and attributes of your own.",
        discussion: """
            'n' is the wanted number of copies of a file, or of what is made below a directory from now on; with -R of all \
            that is below already, too. 'n=' leaves it to policies again (see 'brim policy'). Any other name is an \
            attribute, which policies can use: true, false, numbers and text. A name without a value removes the attribute.

              brim set /papers/contract.pdf n=5
              brim set -R /photos n=4
              brim set /music/song.mp3 popularity=9 artist="Miles Davis"
              brim set /music/song.mp3 artist=
            """)

    @Argument(
        help: ArgumentHelp("A path in the swarm.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var path: RemotePath

    @Argument(help: ArgumentHelp("What to set, for example n=5.", valueName: "name=value"))
    var settings: [String]

    @Flag(name: [.customShort("R"), .customLong("recursive")], help: "Of all that is below a directory: n alone.")
    var recursive = false

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        let change = try change()
        guard !recursive || (change.attributes == nil && (change.n != nil || change.resetN == true)) else {
            throw ValidationError("-R sets n and nothing else.")
        }
    }

    func run(_ client: BrimClient) async throws {
        if recursive {
            let reply = try await client.changeTree(path.path, n: try change().n)
            if global.json { return try Console.printJSON(reply) }
            return print(
                "\(counted(reply.files, "file")) changed, \(counted(reply.directories, "directory", "directories"))")
        }
        let stat = try await client.update(path.path, try change())
        if global.json { try Console.printJSON(stat) }
    }

    /// Throws a `ValidationError`.
    private func change() throws -> ChangeRequest {
        var change = ChangeRequest()
        var attributes: [String: AttributeValue?] = [:]
        for setting in settings {
            guard let equals = setting.firstIndex(of: "="), equals != setting.startIndex else {
                throw ValidationError("'\(setting)' is not of the form NAME=VALUE.")
            }
            let name = String(setting[..<equals])
            let value = String(setting[setting.index(after: equals)...])
            if name == "n", value.isEmpty {
                change.resetN = true
            } else if name == "n" {
                guard let n = Int(value), (1...Limits.maxCopies).contains(n) else {
                    throw ValidationError("n is a number of copies from 1 to \(Limits.maxCopies).")
                }
                change.n = n
            } else {
                attributes[name] = .some(value.isEmpty ? nil : AttributeValue(parsing: value))
            }
        }
        if !attributes.isEmpty { change.attributes = attributes }
        return change
    }
}
