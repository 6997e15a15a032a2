import BrimModel

/// What rebuild drills read and leave behind.
public protocol DrillStore: Sendable {
    /// Up to `limit` live entries with neighbouring numbers, as of one moment, and what is above them: from the number on that
    /// `chance` (0..<1 of all) falls on; or all, when there are not more.
    func sample(at chance: Double, limit: Int) async throws -> NamespaceSample

    /// All live entries whose numbers are in a range, as of one moment, and what is above them.
    func sample(_ range: NumberRange) async throws -> NamespaceSample

    /// What the last drill came to; nil before the first.
    func drill() async throws -> DrillReport?

    /// Takes the place of the last one.
    func keep(_ drill: DrillReport) async throws
}

/// The numbers of entries that come after one, up to another: `after < id ≤ through`.
public struct NumberRange: Sendable, Hashable {
    public var after: FileID
    public var through: FileID
    public init(after: FileID, through: FileID) {
        self.after = after
        self.through = through
    }

    public func contains(_ id: FileID) -> Bool { after < id && id <= through }
}

/// A part of the namespace as of one moment.
public struct NamespaceSample: Sendable, Hashable {
    public var range: NumberRange
    /// All live entries whose numbers are in the range.
    public var entries: [FileID: Entry]
    /// The directories above them that are outside of the range.
    public var directories: [FileID: Entry]

    public init(range: NumberRange, entries: [Entry] = [], directories: [Entry] = []) {
        self.range = range
        self.entries = Dictionary(entries.map { ($0.id, $0) }) { _, last in last }
        self.directories = Dictionary(directories.map { ($0.id, $0) }) { _, last in last }
    }

    /// Directories above what is in it that are not in it yet.
    package var wantedDirectories: Set<FileID> {
        let parents = Set((Array(entries.values) + Array(directories.values)).compactMap(\.parent))
        return parents.filter { entries[$0] == nil && directories[$0] == nil }
    }
}
