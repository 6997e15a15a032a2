import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim why REMOTE`
struct WhyCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Tell a file's story: how it came to the copies it has.",
        discussion: """
            Each copy that was made, given up, lost or found, with the reason and its numbers, oldest first; then why no \
            further copy is made now.

              brim why /music/song.mp3
              brim why --json /music/song.mp3 | jq -r '.events[] | "\\(.at) \\(.kind) \\(.server)"'
            """)

    @Argument(
        help: ArgumentHelp("A file in the swarm.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var path: RemotePath

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let story = try await client.why(path.path)
        if global.json { return try Console.printJSON(story) }
        print(
            "\(Console.shown(story.path)): \(ByteCount.format(story.size)), n \(story.n), k \(story.k), "
                + "surplus \(signed(story.surplus)) (\(surplusWords(story.surplus)))")
        let holders = story.replicas.map { holder in
            "\(holder.server)" + (holder.counted ? "" : " (\(holder.state?.rawValue ?? "unknown"), not counted)")
        }
        print("on \(holders.isEmpty ? "no server" : holders.joined(separator: ", "))\n")
        var table = Table([.left("WHEN"), .left("WHAT"), .left("SERVER"), .left("WHY")])
        for event in story.events {
            table.add([
                "\(event.at.description.prefix(19))Z", event.kind, event.server.rawValue, Console.shown(event.reason),
            ])
        }
        table.print()
        print("\nnext: \(Console.shown(story.next))")
    }
}
