import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim mv SOURCE… TARGET`
struct MvCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "mv",
        abstract: "Rename or move files and directories within the swarm.",
        usage: "brim mv <remote> ... <remote> [<options>]",
        discussion: """
            Into a directory, or a path that ends in '/', things go under their own names. A file at the new name is \
            replaced.

              brim mv /draft.txt /final.txt
              brim mv /a.mp3 /b.mp3 /music/
            """)

    @Argument(
        help: ArgumentHelp("Paths in the swarm; the last is where to.", valueName: "remote"),
        transform: { try RemotePath(parsing: $0) })
    var paths: [RemotePath]

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard paths.count >= 2 else { throw ValidationError("Name what to move, and where to.") }
        if paths.dropLast().contains(where: \.path.isRoot) { throw ValidationError("'/' cannot be moved.") }
    }

    func run(_ client: BrimClient) async throws {
        let target = paths[paths.count - 1]
        let sources = paths.dropLast()
        let goesInside = try await self.goesInside(target, client)
        guard goesInside || sources.count == 1 else {
            throw BrimError(.notDirectory, "'\(target.path)' is not a directory", advice: "Make it with 'brim mkdir'")
        }
        for source in sources {
            let name = goesInside ? source.path.name : nil
            let to = try name.map { try target.path.appending($0) } ?? target.path
            let moved = try await client.rename(source.path, to: to)
            if global.json { try Console.printJSON(moved, indented: false) }
        }
    }

    private func goesInside(_ target: RemotePath, _ client: BrimClient) async throws -> Bool {
        if target.path.isRoot { return true }
        switch try await client.statIfPresent(target.path)?.type {
        case .directory?: return true
        case .some where target.isDirectory:
            throw BrimError(
                .notDirectory, "'\(target.path)' is not a directory", advice: "Leave out the '/' at its end")
        case nil where target.isDirectory && paths.count > 2:
            throw BrimError(.notFound, "'\(target.path)' does not exist", advice: "Make it with 'brim mkdir'")
        default: return false
        }
    }
}
