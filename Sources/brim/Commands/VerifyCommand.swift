import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim verify [-r] [REMOTE]`
struct VerifyCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Read every copy of files on their servers and compare it with its checksums.",
        discussion: """
            No bytes are moved. A copy that is damaged is set aside on its server, one that is missing is struck off, and \
            both are replaced. Servers do the same by themselves, each copy once in scrub-interval (brim settings).

              brim verify /music/song.mp3
              brim verify -r /music
              brim verify                      (all files; takes long)

            Exit status 1 if a copy was bad or could not be verified.
            """)

    /// Files verified at a time.
    private static let parallel = 4

    @Flag(name: [.short, .customLong("recursive")], help: "Verify all files in a directory.")
    var recursive = false

    @Argument(
        help: ArgumentHelp("A path in the swarm. (default: everything)", valueName: "remote"),
        transform: { try RemotePath(parsing: $0) })
    var path: RemotePath?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        var report = VerifyReport(isJSON: global.json)
        if recursive || path == nil {
            try await tree(client, path?.path ?? .root, &report)
        } else if let path {
            report.add(path.path, .success(try await client.verify(path.path)))
        }
        try report.finish()
    }

    /// Every file below a directory, or the file itself. What vanishes meanwhile is told of, and is no end.
    private func tree(_ client: BrimClient, _ top: BrimPath, _ report: inout VerifyReport) async throws {
        guard try await client.stat(top).type == .directory else {
            return report.add(top, .success(try await client.verify(top)))
        }
        var directories = [top]
        while let directory = directories.popLast() {
            var files: [BrimPath] = []
            do {
                for try await entry in client.list(directory) {
                    let path = try directory.appending(entry.name)
                    if entry.type == .directory { directories.append(path) }
                    guard entry.type == .file else { continue }
                    files.append(path)
                    if files.count == Self.parallel { try await verify(client, &files, &report) }
                }
            } catch let error as BrimError where error.code == .notFound || error.code == .notDirectory {
                report.add(directory, .failure(error))
            }
            try await verify(client, &files, &report)
        }
    }

    private func verify(_ client: BrimClient, _ files: inout [BrimPath], _ report: inout VerifyReport) async throws {
        let results = try await withThrowingTaskGroup(of: (Int, Result<VerifyReply, BrimError>).self) { group in
            for (index, path) in files.enumerated() {
                group.addTask {
                    do {
                        return (index, .success(try await client.verify(path)))
                    } catch let error as BrimError where error.code != .unauthorized && error.code != .denied {
                        return (index, .failure(error))
                    }
                }
            }
            return try await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        for (index, path) in files.enumerated() { if let result = results[index] { report.add(path, result) } }
        files = []
    }
}

/// What `brim verify` found, told as it comes.
private struct VerifyReport {
    /// A line of `--json`.
    private struct Line: Encodable {
        var path: String
        @Nullable var size: Int64?
        var copies: [VerifyReply.Copy]
        @Nullable var error: BrimError?
    }

    let isJSON: Bool
    private var counts: [CopyCondition: Int] = [:]
    private var (files, failures) = (0, 0)

    init(isJSON: Bool) { self.isJSON = isJSON }

    mutating func add(_ path: BrimPath, _ result: Result<VerifyReply, BrimError>) {
        switch result {
        case .success(let reply):
            files += 1
            for copy in reply.copies { counts[copy.condition, default: 0] += 1 }
            if isJSON {
                tell(Line(path: reply.path, size: reply.size, copies: reply.copies, error: nil))
            } else {
                for copy in reply.copies where copy.condition != .ok || reply.copies.isEmpty {
                    print(
                        "\(Console.shown(reply.path)): \(copy.condition.rawValue) on \(copy.server): \(Console.shown(copy.reason ?? ""))"
                    )
                }
                if reply.copies.isEmpty { print("\(Console.shown(reply.path)): has no copy") }
            }
        case .failure(let error):
            failures += 1
            if isJSON {
                tell(Line(path: path.description, size: nil, copies: [], error: error))
            } else {
                print("\(Console.shown(path.description)): not verified: \(error)")
            }
        }
        Console.flush()
    }

    private func tell(_ line: Line) { try? Console.printJSON(line, indented: false) }

    /// Throws unless every copy was verified and was good.
    func finish() throws {
        func count(_ condition: CopyCondition) -> Int { counts[condition] ?? 0 }
        let bad = count(.corrupt) + count(.missing)
        let unknown = count(.unreachable) + failures
        if !isJSON {
            print(
                "\(counted(files, "file")), \(counted(counts.values.reduce(0, +), "copy", "copies")): \(count(.ok)) ok, "
                    + "\(count(.corrupt)) corrupt, \(count(.missing)) missing, \(count(.unreachable)) unreachable")
        }
        if bad > 0 {
            throw BrimError(
                .corrupt, "\(counted(bad, "copy was", "copies were")) bad",
                advice: "They are replaced; brim why PATH tells more", retryable: false)
        }
        if unknown > 0 {
            throw BrimError(
                .unavailable, "\(counted(unknown, "copy or path", "copies or paths")) could not be verified")
        }
    }
}
