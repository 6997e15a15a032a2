import BrimMetadata
import BrimModel

/// Changes are found by comparing what is there with what was there at the last look; each tells the entry as it is when
/// it is told.
extension InMemoryMetadataStore {
    struct ChangeLog {
        var seen: [FileID: Entry] = [:]
        var changed: [FileID] = []
        /// Positions below are lost.
        var first = 0
    }

    public func changePosition() -> ChangePosition {
        noteChanges()
        return Self.position(changeLog.changed.count)
    }

    public func follow(
        after position: ChangePosition, quiet: Duration, _ take: @escaping @Sendable (ChangeStep) -> Bool
    ) async throws {
        noteChanges()
        guard let start = Int(position.rawValue), position == Self.position(start),
            (changeLog.first...changeLog.changed.count).contains(start)
        else { throw PositionLost() }
        var next = start
        while true {
            noteChanges()
            while next < changeLog.changed.count {
                let id = changeLog.changed[next]
                next += 1
                guard take(.change(change(id), Self.position(next))) else { return }
            }
            guard take(.quiet(Self.position(next))) else { return }
            try await Task.sleep(for: min(quiet, .milliseconds(10)))
        }
    }

    public func entries(after: FileID?, limit: Int) -> [Entry] {
        records.values.map(\.entry).filter { entry in after.map { $0 < entry.id } ?? true }
            .sorted { $0.id < $1.id }.prefix(limit).map(\.self)
    }

    /// Forgets all changes so far, as a database does after a while.
    public func forgetChanges() {
        noteChanges()
        changeLog.first = changeLog.changed.count
    }

    private func noteChanges() {
        var now: [FileID: Entry] = [:]
        for (id, record) in records { now[id] = Self.uncounted(record.entry) }
        for id in Set(now.keys).union(changeLog.seen.keys).sorted() where now[id] != changeLog.seen[id] {
            changeLog.changed.append(id)
        }
        changeLog.seen = now
    }

    private func change(_ id: FileID) -> NamespaceChange {
        if let entry = records[id]?.entry { return .present(entry) }
        return .absent(id, rev: trash[id]?.entry.rev)
    }

    private static func uncounted(_ entry: Entry) -> Entry {
        var entry = entry
        entry.content?.k = 0
        entry.content?.readable = false
        return entry
    }

    private static func position(_ count: Int) -> ChangePosition {
        let text = String(count)
        return ChangePosition(rawValue: String(repeating: "0", count: max(0, 12 - text.count)) + text)
    }
}
