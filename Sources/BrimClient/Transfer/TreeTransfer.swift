import BrimModel
import Synchronization

/// How a tree is copied.
public struct TreeOptions: Sendable {
    /// Transfers at the same time.
    public var transfers: Int
    /// Wanted copies of each file; nil: what the swarm's policy says.
    public var n: Int?

    public init(transfers: Int = 8, n: Int? = nil) {
        self.transfers = transfers
        self.n = n
    }
}

/// What came of copying a tree.
public struct TreeReport: Sendable {
    /// Something that was left out.
    public struct Problem: Sendable {
        /// The local path, or the swarm's.
        public var path: String
        public var error: BrimError
    }
    /// Files, links and directories copied.
    public var files: Int64 = 0
    public var links: Int64 = 0
    public var directories: Int64 = 0
    /// Entries that could not be copied, special files included.
    public var problems: Int64 = 0

    public init() {}
}

/// Copies whole trees into and out of a swarm, several files at once, with modes, times and symbolic links.
///
/// An entry that fails is told to `problem` and left out; the others are copied all the same. Only a refused password
/// or token ends a transfer at once.
public struct TreeTransfer: Sendable {
    let client: BrimClient
    let options: TreeOptions
    let progress: TransferProgress?
    let tally: Tally

    /// Counts while several tasks copy.
    final class Tally: Sendable {
        private let report = Mutex(TreeReport())
        private let problem: @Sendable (TreeReport.Problem) -> Void

        init(_ problem: @escaping @Sendable (TreeReport.Problem) -> Void) { self.problem = problem }

        var result: TreeReport { report.withLock { $0 } }

        func count(_ kind: any WritableKeyPath<TreeReport, Int64> & Sendable) {
            report.withLock { $0[keyPath: kind] += 1 }
        }

        /// Counts and tells an error; throws it again when it ends the transfer.
        func failed(_ path: String, _ error: any Error) throws {
            try Task.checkCancellation()
            if error is CancellationError { throw error }
            let failure = error as? BrimError ?? BrimError(.internal, "\(error)")
            if failure.code == .unauthorized { throw failure }
            count(\.problems)
            problem(TreeReport.Problem(path: path, error: failure))
        }
    }

    /// `problem` is called for each entry left out, from any task.
    public init(
        client: BrimClient, options: TreeOptions = TreeOptions(), progress: TransferProgress? = nil,
        problem: @escaping @Sendable (TreeReport.Problem) -> Void
    ) {
        self.client = client
        self.options = options
        self.progress = progress
        self.tally = Tally(problem)
    }

    /// Does work for one entry; a failure is counted and told.
    func attempt(_ path: String, _ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch {
            try tally.failed(path, error)
        }
    }
}
