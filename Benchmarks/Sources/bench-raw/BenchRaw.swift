import ArgumentParser
import Foundation
import LoadKit

/// The durable work of creating files, and nothing else: each file is written twice, into two different directories;
/// each time to a temporary name, synced and renamed. What a swarm with two copies on one disk is compared with.
@main
struct BenchRaw: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench-raw", abstract: "Write files twice with fsync and rename; prints what that took as JSON.")

    @Argument(help: "A directory to write below; what is made there stays.")
    var directory: String

    @OptionGroup var load: Load

    func run() throws {
        let result = try load.run { index in try Writer(below: directory, index: index, size: load.size) }
        try result.print()
    }
}

private struct Writer: Worker {
    /// Bytes handed to the kernel at a time.
    private static let piece = 1 << 20

    let folders: [String]
    let size: Int
    var bytes: [UInt8]

    init(below directory: String, index: Int, size: Int) throws {
        folders = ["\(directory)/one/\(index)", "\(directory)/two/\(index)"]
        self.size = size
        bytes = (0..<min(size, Self.piece)).map { _ in UInt8.random(in: 0...255) }
        for folder in folders {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        }
    }

    mutating func step(_ sequence: Int) throws {
        withUnsafeBytes(of: sequence) {
            for (index, byte) in $0.enumerated() where index < bytes.count { bytes[index] = byte }
        }
        for folder in folders { try write("\(folder)/\(sequence)") }
    }

    private func write(_ path: String) throws {
        let temporary = path + ".new"
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw failure("open", temporary) }
        defer { close(file) }
        var done = 0
        while done < size {
            let count = bytes.withUnsafeBytes { Foundation.write(file, $0.baseAddress, min($0.count, size - done)) }
            guard count > 0 else { throw failure("write", temporary) }
            done += count
        }
        guard fsync(file) == 0 else { throw failure("sync", temporary) }
        guard rename(temporary, path) == 0 else { throw failure("rename", temporary) }
    }

    private func failure(_ what: String, _ path: String) -> CocoaError {
        CocoaError(.fileWriteUnknown, userInfo: [NSLocalizedDescriptionKey: "cannot \(what) \(path): errno \(errno)"])
    }
}
