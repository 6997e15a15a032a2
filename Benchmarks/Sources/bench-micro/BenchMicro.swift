import ArgumentParser
import BrimModel
import BrimPlacement
import BrimWire
import Foundation
import MongoDriver

/// What the small steps cost that every request takes many of; on one thread, without disk, network and database.
@main
struct BenchMicro: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-micro", abstract: "Time single steps: checksum, tokens, JSON, BSON, planner.")

    @Option(help: "How often each is timed: the median counts.")
    var rounds = 5

    @Option(help: "Seconds of each round.")
    var seconds = 0.3

    func validate() throws {
        guard rounds > 0, seconds > 0 else { throw ValidationError("Rounds and seconds are above zero.") }
    }

    func run() throws {
        try measureChecksums()
        try measureTokens()
        try measureCoding()
        try measurePlanner()
    }

    /// Prints how long one call takes; `step` gets the number of the call, and what it returns is not optimized away.
    private func measure(_ name: String, _ step: (Int) throws -> some Any) rethrows {
        var calls = 0
        var times: [Duration] = []
        for _ in 0..<rounds {
            let begin = ContinuousClock.now
            let first = calls
            repeat {
                for _ in 0..<16 {
                    withExtendedLifetime(try step(calls)) {}
                    calls += 1
                }
            } while ContinuousClock.now - begin < .seconds(seconds)
            times.append((ContinuousClock.now - begin) / (calls - first))
        }
        let median = times.sorted()[rounds / 2] / .microseconds(1)
        print(name.padding(toLength: 52, withPad: " ", startingAt: 0) + String(format: "%10.3f µs", median))
    }

    private func measureChecksums() throws {
        for size in [4096, 65536] {
            let bytes = (0..<size).map { _ in UInt8.random(in: 0...255) }
            measure("CRC32C of \(size) bytes") { _ in
                var sum = CRC32C()
                bytes.withUnsafeBytes { sum.update($0) }
                return sum.value
            }
        }
    }

    private func measureTokens() throws {
        let keys = try SwarmKeys(password: "benchmark")
        let claims = try Self.claims()
        measure("write token: sign") { _ in try? keys.sign(claims) }
        let token = try keys.sign(claims)
        measure("write token: verify, known") { _ in try? keys.verify(token) }
        // More than are remembered, in turn: none is known.
        let tokens = try (0..<2 * WireLimits.cachedTokens).map { number in
            var claims = claims
            claims.subject = "writer \(number)"
            return try keys.sign(claims)
        }
        measure("write token: verify, new") { try? keys.verify(tokens[$0 % tokens.count]) }
    }

    private func measureCoding() throws {
        let request = WritesRequest(writes: [
            WriteRequest(path: try BrimPath(parsing: "/music/1959/so what.mp3"), size: 4096)
        ])
        let json = try BrimJSON.encoder().encode(request)
        measure("JSON: encode a request for one write") { _ in try? BrimJSON.encoder().encode(request) }
        measure("JSON: decode it") { _ in try? BrimJSON.decoder().decode(WritesRequest.self, from: json) }
        let document: BSONDocument = [
            "_id": 4711, "state": "live", "parent": 1, "name": "so what.mp3", "type": "file", "mode": 420, "rev": 1,
            "version": 1, "size": 4096, "n": 2, "k": 2, "surplus": 0, "readable": true,
            "replicas": ["alpha", "bravo"], "attributes": ["popularity": 7],
        ]
        let bytes = try document.bytes()
        measure("BSON: write a document of a file") { _ in try? document.bytes() }
        measure("BSON: read it") { _ in try? BSONDocument(bytes: bytes) }
    }

    private func measurePlanner() throws {
        for count in [3, 100] {
            var planner = Planner(floor: 0)
            let names = try (0..<count).map { try ServerName(validating: "server-\($0)") }
            planner.update(
                servers: names.enumerated().map { index, name in
                    ServerSnapshot(
                        name: name, zone: "zone-\(index % 10)", quota: 1 << 40, brim: 1 << 40, used: Int64(index) << 30)
                })
            let blob = try Self.blob()
            measure("planner: place a copy, \(count) servers") { number in
                planner.place(
                    NeedyFile(
                        file: FileID(Int64(number)), blob: blob, size: 1 << 20, surplus: -1, replicas: [names[0]]))
            }
        }
    }

    private static func blob() throws -> BlobID {
        guard let blob = BlobID("6b036dbbbdd1677a56d452b7") else { throw ValidationError("That is no blob's id.") }
        return blob
    }

    private static func claims() throws -> TokenClaims {
        let targets = try ["alpha", "bravo"].map {
            Peer(server: try ServerName(validating: $0), address: "127.0.0.1:4243")
        }
        return .write(
            WriteGrant(
                request: UUID().uuidString, blob: try blob(), parent: FileID(2),
                name: try EntryName("so what.mp3"), path: "/music/1959/so what.mp3", size: 4096,
                targets: targets, mode: 0o644, modified: nil, n: nil, attributes: [:], ifMatch: .anything,
                master: "http://127.0.0.1:4242"))
    }
}
