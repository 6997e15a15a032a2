import Synchronization

/// Counts what a transfer has done, and tells somebody.
public final class TransferProgress: Sendable {
    /// The numbers at one moment.
    public struct Snapshot: Sendable, Equatable {
        /// Files done.
        public var files: Int64 = 0
        public var bytes: Int64 = 0
        /// nil while not known.
        public var totalFiles: Int64?
        public var totalBytes: Int64?
    }

    private let state = Mutex(Snapshot())
    private let report: @Sendable (Snapshot) -> Void

    /// `report` is called with each change, from any task: it should be quick.
    public init(report: @escaping @Sendable (Snapshot) -> Void) { self.report = report }

    public var snapshot: Snapshot { state.withLock { $0 } }

    /// Raises what is to be done in all.
    public func expect(files: Int64, bytes: Int64?) {
        change {
            $0.totalFiles = ($0.totalFiles ?? 0) + files
            if let bytes { $0.totalBytes = ($0.totalBytes ?? 0) + bytes }
        }
    }

    /// Counts bytes that were moved; negative when they have to be moved again.
    func add(bytes: Int64) { change { $0.bytes += bytes } }

    /// Counts a file that is done.
    func addFile() { change { $0.files += 1 } }

    private func change(_ body: (inout Snapshot) -> Void) {
        report(
            state.withLock {
                body(&$0)
                return $0
            })
    }
}
