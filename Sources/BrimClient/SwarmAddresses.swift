import BrimModel
import BrimWire
import Foundation
import Synchronization

/// Where a swarm was found last.
struct SwarmAddresses: Codable, Sendable, Equatable {
    /// URLs.
    var masters: [String] = []
    var slaves: [String] = []
}

/// Remembers the addresses of swarms between the runs of a program: a file for each list of masters.
public struct AddressBook: Sendable {
    private let directory: String

    /// A book in this directory, which is made when there is something to write.
    public init(directory: String) { self.directory = directory }

    /// `${XDG_CACHE_HOME:-~/.cache}/brim`; nil where there is no home.
    public static var usual: AddressBook? {
        let environment = ProcessInfo.processInfo.environment
        let cache =
            environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
            ?? environment["HOME"].flatMap { $0.hasPrefix("/") ? $0 + "/.cache" : nil }
        return cache.map { AddressBook(directory: $0 + "/brim") }
    }

    /// What was noted for these masters, and how many seconds ago; nil for nothing, and for what is not understood.
    func recall(_ masters: [String]) -> (addresses: SwarmAddresses, age: Double)? {
        let path = path(masters)
        guard let data = FileManager.default.contents(atPath: path),
            let addresses = try? JSONDecoder().decode(SwarmAddresses.self, from: data)
        else { return nil }
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        return (addresses, Double(max(0, Timestamp.now.seconds - Int64(status.st_mtim.tv_sec))))
    }

    /// Notes addresses, whole or not at all, for the owner's eyes only. That it cannot harms nobody: false then.
    @discardableResult
    func note(_ addresses: SwarmAddresses, for masters: [String]) -> Bool {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(addresses) else { return false }
        try? FileManager.default.createDirectory(
            atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let target = path(masters)
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

    func path(_ masters: [String]) -> String {
        // FNV-1a: the name must only differ from that of another list.
        let text = Set(masters).sorted().joined(separator: ",")
        let hash = text.utf8.reduce(UInt64(0xcbf2_9ce4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        return "\(directory)/swarm-\(String(hash, radix: 16)).json"
    }
}
