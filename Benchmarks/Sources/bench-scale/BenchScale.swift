import ArgumentParser
import BrimModel
import Foundation

/// What decisions, status, listings and recounts take in swarms of many files: documents of such swarms are written straight
/// into a MongoDB of the benchmark's own, and looked at through the very store and master of BrimFS.
@main
struct BenchScale: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-scale", abstract: "Time the metadata path with millions of files.",
        discussion: """
            Each number of files takes a MongoDB of its own, which is removed at the end: 1.5 GB of disk for each million.
            """)

    @Option(help: "The brim to measure.")
    var brim: String

    @Option(help: "The mongod to run.")
    var mongod: String

    @Option(help: "A directory for data, which must not be there yet.")
    var data: String

    @Option(parsing: .upToNextOption, help: "How many files, one swarm for each number.")
    var files = [1_000_000, 10_000_000]

    @Option(help: "How many servers hold them.")
    var servers = 25

    @Option(help: "Gigabytes that mongod keeps in its cache.")
    var cache = 4.0

    @Option(help: "The first of two free ports.")
    var port = 28_500

    @Option(help: "How often each question is asked: the median counts.")
    var rounds = 101

    @Option(help: "A file for all figures, as JSON.")
    var json: String?

    @Flag(help: "Print the table as docs/scale.md has it.")
    var markdown = false

    func validate() throws {
        guard !files.isEmpty, files.allSatisfy({ $0 >= 1000 }), servers >= 5, rounds > 0, cache >= 0.25 else {
            throw ValidationError("At least 1,000 files, 5 servers, one round and a cache of 0.25 GB.")
        }
    }

    func run() async throws {
        guard !FileManager.default.fileExists(atPath: data) else {
            throw ValidationError("\(data) is there already: name a directory that is not.")
        }
        let work = Task { try await measure(in: URL(fileURLWithPath: data)) }
        // Nothing is left running, however this ends.
        let signals = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { work.cancel() }
            source.activate()
            return source
        }
        try await work.value
        for source in signals { source.cancel() }
    }

    private func measure(in directory: URL) async throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        var figures: [Figures] = []
        for count in files {
            let place = directory.appendingPathComponent("\(count)")
            try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
            let swarm = try SampleSwarm(files: count, servers: servers)
            let measurement = Measurement(
                swarm: swarm, brim: brim, mongod: mongod, directory: place, cache: cache, rounds: rounds,
                port: port)
            figures.append(try await measurement.run())
            try FileManager.default.removeItem(at: place)
        }
        print(Table(figures).text(markdown: markdown))
        if let json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            try encoder.encode(figures).write(to: URL(fileURLWithPath: json))
        }
    }
}
