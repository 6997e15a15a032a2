import BrimMetadata
import BrimModel
import Synchronization

extension MetadataConformance {
    static let changes: [MetadataConformance] = [
        MetadataConformance("the changes after a position lead from what was there to what is there") { f in
            let start = try await f.store.changePosition()
            let history = try await f.history()
            var copy = NamespaceCopy()
            for change in try await f.changes(after: start) { copy.apply(change) }
            try await f.expectComplete(copy)
            try expectEqual(copy[history.removed.id], nil, "a removed file")
            try expectEqual(copy[history.undeleted.id]?.name?.text, "back", "an undeleted file")
        },
        MetadataConformance("a copy from pages and what follows the position before them is complete") { f in
            _ = try await f.history()
            let start = try await f.store.changePosition()
            var copy = NamespaceCopy()
            var after: FileID?
            var pages = 0
            while true {
                let page = try await f.store.entries(after: after, limit: 2)
                guard let last = page.last else { break }
                try expectEqual(page.map(\.id), page.map(\.id).sorted(), "the order of a page")
                for entry in page { copy.apply(.present(entry)) }
                after = last.id
                pages += 1
                // Between two pages something before and something behind them changes.
                try await f.file("during-\(pages)")
                if pages == 2, let first = try await f.store.entry(at: f.place("moved")) {
                    _ = try await f.rename(first, to: "moved-again")
                }
                if pages > 20 { break }
            }
            for change in try await f.changes(after: start) { copy.apply(change) }
            try await f.expectComplete(copy)
            try expectEqual(try await f.store.entries(after: nil, limit: 0), [])
        },
        MetadataConformance("a follower goes on from any position, and from that of a quiet moment") { f in
            let start = try await f.store.changePosition()
            for number in 1...3 { try await f.directory("d\(number)") }
            let first = try await f.store.changes(after: start, limit: 2)
            try expectEqual(first.changes.count, 2)
            let rest = try await f.changes(after: first.position)
            let made = (first.changes + rest).compactMap { change -> String? in
                guard case .present(let entry) = change, entry.id != .root else { return nil }
                return entry.name?.text
            }
            try expectEqual(made.sorted(), ["d1", "d2", "d3"])
            let end = try await f.store.changes(after: first.position, limit: 100).position
            try expect(start < first.position && first.position < end, "positions rise")
            try expectEqual(try await f.changes(after: end), [])
            try await f.directory("later")
            let later = try await f.changes(after: end)
            try expect(later.contains { $0.id != .root }, "what comes after a quiet moment is told")
            // Whoever follows without an end is told at once, and is told of silence.
            let told = Box<[ChangeStep]>([])
            try await f.store.follow(after: end, quiet: .milliseconds(50)) { step in
                told.value.withLock { told in
                    told.append(step)
                    if case .quiet = step { return false }
                    return true
                }
            }
            let steps = told.value.withLock { $0 }
            try expect(steps.count > 1, "changes, then a quiet moment: \(steps)")
            try expectEqual(steps.map(\.position), steps.map(\.position).sorted(), "the order of positions")
        },
        MetadataConformance("new holders are told; how copies are counted is not") { f in
            try await f.join(f.alpha)
            let file = try await f.file("f", on: [f.alpha, f.bravo])
            let start = try await f.store.changePosition()
            _ = try await f.store.addReplicas([f.change(file, f.charlie)], view: f.view)
            let added = try await f.store.changes(after: start, limit: 100)
            guard case .present(let entry)? = added.changes.last else {
                throw ConformanceFailure(description: "a new copy was not told: \(added.changes)")
            }
            try expectEqual(entry.content?.replicas, [f.alpha, f.bravo, f.charlie])
            try expectEqual(entry.rev, file.rev, "rev")
            f.view = ServerView(epoch: 2, counted: [f.bravo], readable: [f.bravo], up: [f.bravo])
            try await f.recountAll()
            try expectEqual(try await f.content(file).k, 1)
            try expectEqual(try await f.changes(after: added.position), [], "what a recount changes")
            try await f.store.loseReplicas([f.change(file, f.alpha)], view: f.view)
            guard case .present(let left)? = try await f.changes(after: added.position).last else {
                throw ConformanceFailure(description: "a lost copy was not told")
            }
            try expectEqual(left.content?.replicas, [f.bravo, f.charlie])
        },
        MetadataConformance("a position that never was is lost") { f in
            let start = try await f.store.changePosition()
            var wrong = ["", "nonsense", "g" + start.rawValue, "00"]
            // The same place in another database.
            wrong.append("fedcba98" + start.rawValue.dropFirst(8))
            for text in wrong where text != start.rawValue {
                do {
                    _ = try await f.store.changes(after: ChangePosition(rawValue: text), limit: 1)
                } catch is PositionLost {
                    continue
                }
                throw ConformanceFailure(description: "'\(text)' was taken for a position")
            }
        },
    ]
}

/// What a follower makes of changes.
public struct NamespaceCopy: Sendable {
    public private(set) var entries: [FileID: Entry] = [:]

    public init() {}

    public subscript(id: FileID) -> Entry? { entries[id] }

    public mutating func apply(_ change: NamespaceChange) {
        switch change {
        case .present(var entry):
            guard entry.rev >= entries[entry.id]?.rev ?? 0 else { return }
            entry.content?.k = 0
            entry.content?.readable = false
            entries[entry.id] = entry
        case .absent(let id, let rev):
            guard rev ?? .max >= entries[id]?.rev ?? 0 else { return }
            entries[id] = nil
        }
    }
}

extension ConformanceFixture {
    /// One of each kind of change.
    fileprivate mutating func history() async throws -> (removed: Entry, undeleted: Entry) {
        let directory = try await directory("d")
        let moved = try await file("f", size: 1)
        _ = try await rename(moved, to: "moved")
        _ = try await symlink("link", to: "moved")
        let removed = try await file("removed")
        try await remove([removed])
        let undeleted = try await file("undeleted")
        try await remove([undeleted])
        let back = try await store.undelete(undeleted.id, to: place("back", in: directory.id), view: view)
        let overwritten = try await file("o", size: 5)
        try await file("o", size: 6)
        try await settle()
        _ = try await store.update(overwritten.id, EntryChange(n: 2, attributes: ["a": .int(7)]), view: view)
        try await file("target")
        let mover = try await file("mover")
        _ = try await rename(mover, to: "target", replace: true)
        let gone = try await file("gone")
        try await remove([gone], now: true)
        let empty = try await self.directory("empty")
        try await remove([empty])
        return (removed, back)
    }

    /// All changes after a position.
    fileprivate func changes(after position: ChangePosition) async throws -> [NamespaceChange] {
        var changes: [NamespaceChange] = []
        var position = position
        while true {
            let page = try await store.changes(after: position, limit: 100)
            changes += page.changes
            guard !page.changes.isEmpty else { return changes }
            position = page.position
        }
    }

    /// Whether a copy has exactly what the store has.
    fileprivate func expectComplete(_ copy: NamespaceCopy) async throws {
        var expected = NamespaceCopy()
        for entry in try await store.entries(after: nil, limit: 10_000) { expected.apply(.present(entry)) }
        let ids = Set(expected.entries.keys).union(copy.entries.keys)
        for id in ids.sorted() { try expectEqual(copy[id], expected[id], "entry \(id)") }
        try expectEqual(expected.entries.count, try await tree().count + 1, "entries and the root")
    }
}

final class Box<Value: Sendable>: Sendable {
    let value: Mutex<Value>
    init(_ value: Value) { self.value = Mutex(value) }
}
