import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim stat REMOTE`
struct StatCommand: ClientCommand {
    static let readsOffline = true
    static let configuration = CommandConfiguration(
        commandName: "stat",
        abstract: "Show all that is known of a file, directory or link.",
        discussion: """
              brim stat /music/song.mp3
              brim stat --json /music/song.mp3 | jq .replicas
            """)

    @Argument(
        help: ArgumentHelp("A path in the swarm.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var path: RemotePath

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let stat = try await client.stat(path.path)
        if global.json { return try Console.printJSON(stat) }
        var table = Table([.left(""), .left("")])
        for (name, value) in facts(stat) { table.add([name, value]) }
        table.print()
    }

    private func facts(_ stat: FileStat) -> [(String, String)] {
        var facts = [
            ("path", Console.shown(stat.path)), ("type", stat.type.rawValue),
            ("mode", modeText(stat.type, stat.mode)), ("modified", stat.modified.description),
        ]
        if let target = stat.target { facts.append(("target", Console.shown(target))) }
        if stat.type == .file { facts.append(("size", "\(stat.size) (\(ByteCount.format(stat.size)))")) }
        if let version = stat.version { facts.append(("version", "\(version)")) }
        if let checksum = stat.checksum { facts.append(("checksum", checksum.description)) }
        if let n = stat.n, let k = stat.k {
            facts.append(("copies", "\(k) of \(n) wanted: \(surplusWords(k - n))"))
        } else if let n = stat.n {
            facts.append(("copies", "\(n) of what is made below"))
        }
        if let policy = stat.policy { facts.append(("policy", Console.shown(policy))) }
        if let replicas = stat.replicas { facts.append(("on", replicas.map(\.rawValue).joined(separator: ", "))) }
        for (name, value) in stat.attributes.sorted(by: { $0.key < $1.key }) {
            facts.append(("attribute", "\(Console.shown(name))=\(Console.shown(value.text))"))
        }
        return facts
    }
}

/// What a surplus means, in words.
func surplusWords(_ surplus: Int) -> String {
    switch surplus {
    case ..<0: "\(counted(-surplus, "copy", "copies")) missing"
    case 0: "as wanted"
    default: "\(counted(surplus, "spare copy", "spare copies"))"
    }
}

extension AttributeValue {
    /// As it is typed on the command line.
    var text: String {
        switch self {
        case .bool(let value): "\(value)"
        case .int(let value): "\(value)"
        case .double(let value): "\(value)"
        case .string(let value): value
        }
    }
}
