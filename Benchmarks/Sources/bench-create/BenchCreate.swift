import ArgumentParser
import Foundation
import LoadKit

/// Writers that create files over HTTP as the client library does: leave from the master (`POST /v1/writes`), then the
/// bytes to the first slave of the chain (`PUT /v1/blobs/ID`), on connections that are kept alive.
@main
struct BenchCreate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-create", abstract: "Create many files of one size; prints what that took as JSON.",
        discussion: "BRIM_TOKEN holds a token that allows writing, as `brim token` makes them.")

    @Option(help: "Where the master listens, as a.b.c.d:port.")
    var master: String

    @Option(help: "The directory in the swarm to create them in: each writer makes one of its own there.")
    var directory = "/bench"

    @Option(help: "Files for which a writer asks leave at once: 1, or as many as `brim put -r` does with many files.")
    var batch = 1

    @Option(help: "Copies that each answer must tell of.")
    var copies = 2

    @OptionGroup var load: Load

    func validate() throws {
        guard 1...256 ~= batch else { throw ValidationError("A batch has 1 to 256 files.") }
    }

    func run() throws {
        guard let token = ProcessInfo.processInfo.environment["BRIM_TOKEN"] else {
            throw ValidationError("BRIM_TOKEN is not set.")
        }
        let result = try load.run { index in
            try Writer(
                master: HTTPConnection(master), token: token, directory: "\(directory)/\(index)", batch: batch,
                copies: copies, size: load.size)
        }
        try result.print()
    }
}

private struct Writer: Worker {
    private struct Grants: Decodable {
        struct Item: Decodable {
            var url: String?
        }
        var writes: [Item]
    }
    private struct Written: Decodable {
        var size: Int
        var replicas: [String]
    }

    /// Random bytes that are made; a larger file repeats them.
    private static let piece = 1 << 20

    let master: HTTPConnection
    let token: String
    let directory: String
    let batch: Int
    let copies: Int
    var bytes: [UInt8]
    var slaves: [String: HTTPConnection] = [:]
    /// Where the next files may go, the first last.
    var granted: [String] = []

    init(master: HTTPConnection, token: String, directory: String, batch: Int, copies: Int, size: Int) {
        self.master = master
        self.token = token
        self.directory = directory
        self.batch = batch
        self.copies = copies
        let piece = (0..<min(size, Self.piece)).map { _ in UInt8.random(in: 0...255) }
        bytes = (0..<size).map { piece[$0 % Self.piece] }
    }

    mutating func step(_ sequence: Int) throws {
        if granted.isEmpty { granted = try ask(from: sequence) }
        let url = granted.removeLast()
        let (address, target) = try Self.split(url)
        let slave = try slaves[address] ?? HTTPConnection(address)
        slaves[address] = slave
        // No two files alike.
        withUnsafeBytes(of: sequence) {
            for (index, byte) in $0.enumerated() where index < bytes.count { bytes[index] = byte }
        }
        let reply = try slave.exchange("PUT", target, body: bytes)
        guard reply.status == 201 else { throw Self.refusal(reply) }
        let written = try JSONDecoder().decode(Written.self, from: Data(reply.body))
        guard written.size == bytes.count, written.replicas.count == copies else { throw Self.refusal(reply) }
    }

    private func ask(from sequence: Int) throws -> [String] {
        let writes = (sequence..<sequence + batch)
            .map { #"{"path":"\#(directory)/\#($0)","size":\#(bytes.count)}"# }.joined(separator: ",")
        let reply = try master.exchange(
            "POST", "/v1/writes", headers: "Authorization: Bearer \(token)\r\nContent-Type: application/json\r\n",
            body: Array(#"{"writes":[\#(writes)]}"#.utf8))
        guard reply.status == 200 else { throw Self.refusal(reply) }
        let urls = try JSONDecoder().decode(Grants.self, from: Data(reply.body)).writes.compactMap(\.url)
        guard urls.count == batch else { throw Self.refusal(reply) }
        return urls.reversed()
    }

    /// `http://ADDRESS/TARGET`
    private static func split(_ url: String) throws -> (address: String, target: String) {
        let scheme = "http://"
        let rest = url.dropFirst(scheme.count)
        guard url.hasPrefix(scheme), let slash = rest.firstIndex(of: "/") else {
            throw HTTPConnection.Failure(description: "\(url) is no URL of a slave")
        }
        return (String(rest[..<slash]), String(rest[slash...]))
    }

    private static func refusal(_ reply: HTTPConnection.Reply) -> HTTPConnection.Failure {
        HTTPConnection.Failure(description: "status \(reply.status): \(String(decoding: reply.body, as: UTF8.self))")
    }
}
