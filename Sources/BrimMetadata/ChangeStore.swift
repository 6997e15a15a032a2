import BrimModel

/// The changes of the namespace one after the other, for those who keep a copy of it.
///
/// A copy begins with a position, then reads all entries (in pages, while they change), then applies what follows that
/// position. An entry that is told is applied unless the copy has a greater `rev` of it, so that neither what comes twice
/// nor what the pages had already does harm. In between, a copy may have some entries newer than others; it is right as
/// of the position once all up to there is applied.
public protocol ChangeStore: Sendable {
    /// Where the changes are now: every change that was acknowledged before the call lies at or before it.
    func changePosition() async throws -> ChangePosition

    /// Gives the changes after a position to `take`, one by one in their order, and what is `.quiet` when for so long none
    /// came, until `take` returns false. `take` is called on any thread and holds up all that follow.
    ///
    /// What touches only k, readable, surplus or former versions is left out. Throws `PositionLost` when the changes after
    /// the position are not to be had any more, or never were; `.unavailable` and `.timeout` when it can go on later from
    /// the last position that was given.
    func follow(
        after position: ChangePosition, quiet: Duration, _ take: @escaping @Sendable (ChangeStep) -> Bool
    ) async throws

    /// Live entries in order of their ids, those after `after` only, at most `limit`.
    func entries(after: FileID?, limit: Int) async throws -> [Entry]
}

/// A place between two changes. Opaque, but later ones are greater, by the bytes of their text, among those of one history.
///
/// A store may add, after a point, which change was the last before that place: a database that was set back to an earlier
/// state has no such change, and so is not taken for the one that gave the position, however much has happened in it since.
public struct ChangePosition: RawRepresentable, Sendable, Hashable, Comparable {
    public var rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }

    public static func < (a: ChangePosition, b: ChangePosition) -> Bool {
        a.rawValue.utf8.lexicographicallyPrecedes(b.rawValue.utf8)
    }

    /// Letters that name the history.
    static let epochLength = 8

    /// Of which history it is: a store that is filled anew, as from a backup, begins another one.
    public var epoch: Substring { rawValue.prefix(Self.epochLength) }

    /// Whether it says where the last change before it is.
    public var namesLastChange: Bool { rawValue.utf8.contains(UInt8(ascii: ".")) }

    /// This position for somebody who comes from `other`, between which and this one nothing has changed: with the last
    /// change that either of them names.
    public func following(_ other: ChangePosition) -> ChangePosition {
        guard !namesLastChange, let point = other.rawValue.firstIndex(of: ".") else { return self }
        return ChangePosition(rawValue: rawValue + other.rawValue[point...])
    }
}

/// What became of one entry.
public enum NamespaceChange: Sendable, Hashable {
    /// It is so: as it was after the change or after a later one. k and readable are of no meaning.
    case present(Entry)
    /// It left the namespace, for good unless a `rev` is told: then an entry of a greater one may come back.
    case absent(FileID, rev: Int64?)

    public var id: FileID {
        switch self {
        case .present(let entry): entry.id
        case .absent(let id, _): id
        }
    }
}

public enum ChangeStep: Sendable {
    /// The position is that after the change.
    case change(NamespaceChange, ChangePosition)
    case quiet(ChangePosition)

    public var position: ChangePosition {
        switch self {
        case .change(_, let position), .quiet(let position): position
        }
    }
}

/// The changes after a position cannot be told: take a new copy.
public struct PositionLost: Error, Hashable {
    public init() {}
}

/// Changes that follow a position, and the position after them.
public struct ChangePage: Sendable {
    public var changes: [NamespaceChange]
    public var position: ChangePosition
    public init(changes: [NamespaceChange], position: ChangePosition) {
        self.changes = changes
        self.position = position
    }
}

extension ChangeStore {
    /// Up to `limit` changes after a position; fewer only when there are no more. Throws as `follow` does.
    public func changes(after position: ChangePosition, limit: Int) async throws -> ChangePage {
        let page = Box(ChangePage(changes: [], position: position))
        try await follow(after: position, quiet: .milliseconds(20)) { step in
            page.value.withLock { page in
                page.position = step.position
                guard case .change(let change, _) = step else { return false }
                page.changes.append(change)
                return page.changes.count < limit
            }
        }
        return page.value.withLock { $0 }
    }
}
