import ArgumentParser
import BrimClient
import BrimModel
import BrimWire
import Foundation

/// `brim put LOCAL… REMOTE`
struct PutCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "put",
        abstract: "Copy files into the swarm.",
        usage: "brim put [-r] [-n <number>] <local> ... <remote> [<options>]",
        discussion: """
            Onto a file it makes a new version. Onto a directory, or a path that ends in '/', the file goes inside \
            under its own name. Missing parents are made. When the command returns, the copies that the swarm waits \
            for are safe on disks of as many servers.

              brim put song.mp3 /music/song.mp3
              brim put *.mp3 /music/
              brim put -r ~/Music /music    (as cp -r does: inside /music if that exists)
              mysqldump shop | brim put - /backup/shop.sql
              brim put -n 5 contract.pdf /papers/    (keep five copies)
            """)

    @Flag(
        name: [.short, .customLong("recursive")], help: "Copy directories with all in them; keeps mode, time, links.")
    var recursive = false

    @Option(
        name: [.customShort("n"), .customLong("copies")],
        help: ArgumentHelp("How many copies the files should have.", valueName: "number"))
    var copies: Int?

    @Argument(help: ArgumentHelp("Files of this machine; '-' is standard input.", valueName: "local"))
    var locals: [String]

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    private var sources: [LocalName] { locals.dropLast().map { LocalName(text: $0) } }

    private func target() throws -> RemotePath {
        do {
            return try RemotePath(parsing: locals.last ?? "")
        } catch {
            throw ValidationError("The value '\(locals.last ?? "")' is invalid for '<remote>': \(error)")
        }
    }

    func validate() throws {
        guard locals.count >= 2 else { throw ValidationError("Name what to copy, and where to in the swarm.") }
        let target = try target()
        if sources.contains(where: \.isStream), sources.count > 1 || target.isDirectory {
            throw ValidationError("Standard input ('-') needs the path of a file in the swarm, and comes alone.")
        }
        if sources.contains(where: \.text.isEmpty) { throw ValidationError("The name of a local file is empty.") }
        if let copies, !(1...Limits.maxCopies).contains(copies) {
            throw ValidationError("The number of copies is from 1 to \(Limits.maxCopies).")
        }
    }

    func run(_ client: BrimClient) async throws {
        let target = try target()
        let goesInside = try await self.goesInside(target, client)
        if goesInside, sources.contains(where: \.isStream) {
            throw BrimError(
                .isDirectory, "'\(target.path)' is a directory", advice: "Name the file that standard input goes to")
        }
        let bar = ProgressBar()
        defer { bar.clear() }
        let progress = bar.progress
        var failures: [BrimError] = []
        for source in sources {
            do {
                let name = goesInside ? try source.entryName() : nil
                let path = try name.map { try target.path.appending($0) } ?? target.path
                try await put(source, to: path, client, progress: progress, bar: bar)
            } catch let error as BrimError where sources.count > 1 && error.code != .unauthorized {
                bar.tell(error, asJSON: global.json)
                failures.append(error)
            }
        }
        if let last = failures.last {
            throw BrimError(last.code, "\(failures.count) of \(counted(sources.count, "argument")) could not be copied")
        }
    }

    /// Whether sources go into the target under their own names.
    private func goesInside(_ target: RemotePath, _ client: BrimClient) async throws -> Bool {
        if target.isDirectory || target.path.isRoot { return true }
        if try await client.statIfPresent(target.path)?.type == .directory { return true }
        guard sources.count == 1 else {
            throw BrimError(
                .notDirectory, "'\(target.path)' is not a directory", advice: "End it with '/' to have it made")
        }
        return false
    }

    private func put(
        _ source: LocalName, to path: BrimPath, _ client: BrimClient, progress: TransferProgress, bar: ProgressBar
    ) async throws {
        if recursive && !source.isStream {
            return try await putTree(source, to: path, client, progress: progress, bar: bar)
        }
        let reply: WriteReply
        if source.isStream {
            let input = LocalFile(borrowing: STDIN_FILENO, name: "standard input")
            reply = try await client.put(
                StreamSource(file: input), to: path, options: PutOptions(n: copies), progress: progress)
        } else {
            reply = try await client.putFile(source.text, to: path, options: PutOptions(n: copies), progress: progress)
        }
        if global.json { try Console.printJSON(reply, indented: false) }
    }

    private func putTree(
        _ source: LocalName, to path: BrimPath, _ client: BrimClient, progress: TransferProgress, bar: ProgressBar
    ) async throws {
        let asJSON = global.json
        let transfer = TreeTransfer(client: client, options: TreeOptions(n: copies), progress: progress) { problem in
            bar.tell(problem.error, asJSON: asJSON)
        }
        try TreeSummary(try await transfer.upload(source.text, to: path)).finish(source.text, asJSON: asJSON, bar: bar)
    }
}
