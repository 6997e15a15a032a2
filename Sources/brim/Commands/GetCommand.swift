import ArgumentParser
import BrimClient
import BrimModel
import Foundation

/// `brim get REMOTE… LOCAL`
struct GetCommand: ClientCommand {
    static let readsOffline = true
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Copy files out of the swarm.",
        usage: "brim get [-r] <remote> ... <local> [<options>]",
        discussion: """
            Into a directory, or a name that ends in '/', the file goes under its own name. A file appears under its \
            name only when all of it has arrived and fits its checksum; a server that fails on the way is replaced by \
            the next that holds a copy.

              brim get /music/song.mp3 .
              brim get /music/song.mp3 /tmp/other-name.mp3
              brim get -r /music ~/Music    (as cp -r does: inside ~/Music if that exists)
              brim get /backup/shop.sql - | mysql shop
              brim get --version 3 /notes/today.txt .    (as it was; see 'brim versions')
            """)

    @Option(help: ArgumentHelp("This version instead of the current one.", valueName: "number"))
    var version: Int64?

    @Flag(
        name: [.short, .customLong("recursive")], help: "Copy directories with all in them; keeps mode, time, links.")
    var recursive = false

    @Argument(
        help: ArgumentHelp(
            "Paths in the swarm, then where to on this machine; '-' is standard output.",
            valueName: "remote"))
    var paths: [String]

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    private var target: LocalName { LocalName(text: paths.last ?? "") }

    private func sources() throws -> [RemotePath] {
        try paths.dropLast().map { text in
            do {
                return try RemotePath(parsing: text)
            } catch {
                throw ValidationError("The value '\(text)' is invalid for '<remote>': \(error)")
            }
        }
    }

    func validate() throws {
        guard paths.count >= 2 else { throw ValidationError("Name what to copy, and where to on this machine.") }
        _ = try sources()
        if target.text.isEmpty { throw ValidationError("The name of the local file is empty.") }
        if recursive && version != nil { throw ValidationError("A tree (-r) has no versions, its files have.") }
        if recursive && target.isStream { throw ValidationError("A tree (-r) cannot go to standard output.") }
    }

    func run(_ client: BrimClient) async throws {
        let sources = try sources()
        let bar = ProgressBar()
        defer { bar.clear() }
        let progress = bar.progress
        let goesInside = try self.goesInside(count: sources.count)
        var failures: [BrimError] = []
        for source in sources {
            do {
                try await get(source.path, goesInside: goesInside, client, progress: progress, bar: bar)
            } catch let error as BrimError where sources.count > 1 && error.code != .unauthorized {
                bar.tell(error, asJSON: global.json)
                failures.append(error)
            }
        }
        if let last = failures.last {
            throw BrimError(last.code, "\(failures.count) of \(counted(sources.count, "path")) could not be copied")
        }
    }

    private func goesInside(count: Int) throws -> Bool {
        guard !target.isStream else { return false }
        var isDirectory: ObjCBool = false
        let exists = FileManager.default.fileExists(atPath: target.text, isDirectory: &isDirectory)
        if target.isDirectory || (exists && isDirectory.boolValue) { return true }
        guard count == 1 else {
            throw BrimError(
                .notDirectory, "'\(target.text)' is not a directory", advice: "End it with '/' to have it made")
        }
        return false
    }

    private func get(
        _ path: BrimPath, goesInside: Bool, _ client: BrimClient, progress: TransferProgress, bar: ProgressBar
    ) async throws {
        if target.isStream {
            let output = LocalFile(borrowing: STDOUT_FILENO, name: "standard output")
            try await client.read(path, version: version, into: StreamSink(file: output), progress: progress)
            return
        }
        var local = target.text
        if goesInside, let name = path.name { local += (local.hasSuffix("/") ? "" : "/") + name.text }
        if recursive {
            let asJSON = global.json
            let transfer = TreeTransfer(client: client, progress: progress) { bar.tell($0.error, asJSON: asJSON) }
            let report = try await transfer.download(path, to: local)
            try TreeSummary(report).finish(path.description, asJSON: asJSON, bar: bar)
        } else {
            let file = try await client.getFile(path, version: version, to: local, progress: progress)
            if global.json { try Console.printJSON(file, indented: false) }
        }
    }
}
