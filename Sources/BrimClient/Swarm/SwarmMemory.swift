import BrimModel
import BrimWire
import Foundation

/// Where masters and slaves of a swarm are: URLs.
struct SwarmAddresses: Sendable, Equatable {
    var masters: [String] = []
    var slaves: [String] = []
}

/// Remembers the addresses of swarms between the runs of a program, for the day when the masters that a person named are
/// gone: a file for each list of masters that is named.
public struct SwarmMemory: Sendable {
    private struct Contents: Codable {
        var masters: [String]
        var slaves: [String]
        var at: Timestamp
    }

    private let directory: String

    /// A memory in this directory, which is made when there is something to write.
    public init(directory: String) { self.directory = directory }

    /// `${XDG_CACHE_HOME:-~/.cache}/brim`; nil where there is no home.
    public static var usual: SwarmMemory? {
        let environment = ProcessInfo.processInfo.environment
        let cache =
            environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
            ?? environment["HOME"].flatMap { $0.hasPrefix("/") ? $0 + "/.cache" : nil }
        return cache.map { SwarmMemory(directory: $0 + "/brim") }
    }

    /// What was noted for these masters, and how long ago; nil for nothing, and for what is not understood.
    func recall(_ named: [String]) -> (addresses: SwarmAddresses, age: Duration)? {
        guard let data = FileManager.default.contents(atPath: path(named)),
            let contents = try? BrimJSON.decoder().decode(Contents.self, from: data)
        else { return nil }
        let seconds = Timestamp.now.seconds - contents.at.seconds
        func urls(_ texts: [String]) -> [String] { texts.compactMap { try? masterURLs(parsing: $0).first } }
        return (
            SwarmAddresses(masters: urls(contents.masters), slaves: urls(contents.slaves)),
            // What was noted in the future was so by a wrong clock.
            .seconds(seconds >= 0 ? seconds : .max / 2)
        )
    }

    /// Notes addresses, whole or not at all, for the owner's eyes only. That it cannot is no failure: nothing depends on
    /// it; false then.
    @discardableResult
    func note(_ addresses: SwarmAddresses, for named: [String]) -> Bool {
        let contents = Contents(masters: addresses.masters, slaves: addresses.slaves, at: .now)
        guard let data = try? BrimJSON.encoder().encode(contents) else { return false }
        try? FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let target = path(named)
        let temporary = "\(target).\(UInt32.random(in: .min ... .max))"
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { return false }
        let written = data.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        close(file)
        guard written == data.count, rename(temporary, target) == 0 else {
            unlink(temporary)
            return false
        }
        return true
    }

    func path(_ named: [String]) -> String {
        // FNV-1a: the name must only differ from that of another list.
        let text = Set(named).sorted().joined(separator: ",")
        let hash = text.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return "\(directory)/swarm-\(String(hash, radix: 16)).json"
    }
}
