import BrimModel
import BrimWire
import Foundation

/// Remembers, in a file, which masters a swarm has: for the day when those that a person named are gone.
public struct MasterMemory: Sendable {
    private struct Contents: Codable {
        var masters: [String]
        var at: Timestamp
    }

    let file: URL

    /// One file for each list of masters that is named.
    public init(directory: URL, masters: [String]) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in masters.joined(separator: ",").utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        file = directory.appendingPathComponent("masters-\(String(hash, radix: 16)).json")
    }

    /// nil when there is nothing, or nothing that can be read.
    func read() -> (masters: [String], age: Duration)? {
        guard let data = FileManager.default.contents(atPath: file.path),
            let contents = try? BrimJSON.decoder().decode(Contents.self, from: data)
        else { return nil }
        let seconds = Timestamp.now.seconds - contents.at.seconds
        let urls = contents.masters.compactMap { try? masterURLs(parsing: $0).first }
        return (urls, .seconds(seconds >= 0 ? seconds : .max / 2))
    }

    /// A memory that cannot be written is none: nothing depends on it.
    func write(_ masters: [String]) {
        guard let data = try? BrimJSON.encoder().encode(Contents(masters: masters, at: .now)) else { return }
        try? FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try? data.write(to: file, options: .atomic)
    }
}
