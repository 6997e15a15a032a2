import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What goes wrong with the disk of one node, as its processes see it: a library that is loaded before the C library
/// (`Sources/CFaults`) answers in its place.
public final class NodeFaults: Sendable {
    private let control: URL
    /// For the processes of the node.
    public let environment: [String: String]

    /// - Parameters:
    ///   - disk: a directory on the disk that is meant; it must be a disk of its own.
    ///   - control: a file that is made and belongs to this.
    public init(disk: URL, control: URL) throws {
        let library = try TestRun.shared().brim.deletingLastPathComponent().appending(path: "libBrimFaults.so")
        guard FileManager.default.fileExists(atPath: library.path) else {
            throw SwarmFailure("\(library.path) was not built")
        }
        self.control = control
        environment = [
            "LD_PRELOAD": library.path, "BRIM_FAULTS_CONTROL": control.path, "BRIM_FAULTS_DISK": disk.path,
        ]
        try Data(count: 4096).write(to: control)
    }

    /// - Parameters:
    ///   - readsFail: reading is answered with EIO.
    ///   - writesFail: writing and making durable are answered with EIO.
    ///   - syncsLie: what is asked to be made durable is not, and is said to be.
    public func set(readsFail: Bool = false, writesFail: Bool = false, syncsLie: Bool = false) throws {
        // In place: it is mapped by those who heed it.
        let file = try FileHandle(forWritingTo: control)
        defer { try? file.close() }
        try file.write(contentsOf: Data([readsFail, writesFail, syncsLie].map { $0 ? 1 : 0 }))
    }
}
