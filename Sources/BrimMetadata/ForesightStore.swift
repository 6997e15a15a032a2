import BrimModel
import BrimPlacement

/// What foresight needs of the metadata.
public protocol ForesightStore: Sendable {
    /// The groups that `FailureBudget` judges by. Of files with three or more counted copies at most `limit` are looked at:
    /// where more of them have as little surplus, what is said of pairs of servers that lose no file may name another one of
    /// those that are as bad.
    func fragileFiles(view: ServerView, limit: Int) async throws -> [FailureBudget.Group]

    /// What would become of live files at once, before any copy is made; files to which nothing happens are left out.
    func foresee(_ event: ForeseenEvent, view: ServerView) async throws -> [ForeseenChange]

    /// Readable live files: about so many by chance, the same one perhaps twice; nil: all.
    func sampleFiles(_ count: Int?) async throws -> [SampledFile]

    /// Notes how much is stored, at most once for each hour; the last `growthMemory` of these are kept.
    func noteGrowth(_ sample: Growth.Sample) async throws

    /// Oldest first.
    func growth() async throws -> [Growth.Sample]
}

extension ForesightStore {
    /// Samples of 30 days.
    public var growthMemory: Int { 720 }
}

/// Something that might happen.
public struct ForeseenEvent: Sendable, Hashable {
    /// Another n for files.
    public struct Copies: Sendable, Hashable {
        /// All files in these directories, without those below them.
        public var directories: Set<FileID>
        public var files: Set<FileID>
        public var n: Int
        public init(directories: Set<FileID> = [], files: Set<FileID> = [], n: Int) {
            self.directories = directories
            self.files = files
            self.n = n
        }
    }

    /// Servers that would be gone.
    public var lost: Set<ServerName>
    public var copies: Copies?
    public init(lost: Set<ServerName> = [], copies: Copies? = nil) {
        self.lost = lost
        self.copies = copies
    }

    public var isNothing: Bool { lost.isEmpty && copies == nil }

    /// The n that a file would have.
    public func n(of file: FileID, in parent: FileID?, now n: Int) -> Int {
        guard let copies else { return n }
        return copies.files.contains(file) || parent.map(copies.directories.contains) == true ? copies.n : n
    }
}

/// How many files would go from one surplus to another.
public struct ForeseenChange: Sendable, Hashable {
    /// nil: they cannot be read.
    public var before: Int?
    public var after: Int?
    public var files: Int64
    public var bytes: Int64
    public init(before: Int?, after: Int?, files: Int64, bytes: Int64) {
        self.before = before
        self.after = after
        self.files = files
        self.bytes = bytes
    }
}

/// One of the files of a sample.
public struct SampledFile: Sendable, Hashable {
    public var id: FileID
    public var parent: FileID?
    /// Bytes.
    public var size: Int64
    public var n: Int
    public var replicas: [ServerName]
    public init(id: FileID, parent: FileID?, size: Int64, n: Int, replicas: [ServerName]) {
        self.id = id
        self.parent = parent
        self.size = size
        self.n = n
        self.replicas = replicas
    }
}
