import BrimMetadata
import BrimModel

extension MetadataConformance {
    private static func event(
        _ entry: Entry, _ server: ServerName, _ kind: FileEvent.Kind, at seconds: Int64, _ reason: String = ""
    ) throws -> FileEvent {
        guard let content = entry.content else { throw ConformanceFailure(description: "\(entry.id) is not a file") }
        return FileEvent(
            file: entry.id, blob: content.blob, server: server, kind: kind, reason: reason,
            at: Timestamp(seconds: seconds, nanoseconds: 1_234_567))
    }

    static let events: [MetadataConformance] = [
        MetadataConformance("the story of a file: the newest events, oldest first") { f in
            let file = try await f.file("f")
            let other = try await f.file("other")
            let story = try (1...5).map { try event(file, f.alpha, .copied, at: 100 + $0, "reason \($0)") }
            try await f.store.record(Array(story[2...]) + [try event(other, f.bravo, .lost, at: 103)])
            try await f.store.record(Array(story[..<2]))
            try await f.store.record([])
            try expectEqual(try await f.store.events(of: file.id, limit: 10), story)
            try expectEqual(try await f.store.events(of: file.id, limit: 2), Array(story[3...]))
            try expectEqual(try await f.store.events(of: file.id, limit: 0), [])
            try expectEqual(try await f.store.events(of: FileID(99_999), limit: 10), [])
        },
        MetadataConformance("trimming keeps what is new, the newest, and the reason of a copy that exists") { f in
            let file = try await f.file("f", on: [f.alpha, f.bravo])
            let gone = try await f.file("gone")
            let (other, busy) = (try await f.file("other", on: [f.alpha]), try await f.file("busy", on: [f.alpha]))
            var kept = [try event(file, f.alpha, .copied, at: 10)]
            var all = kept
            // An older word on the same copy, and one on a copy that is not there any more.
            all += [try event(file, f.alpha, .adopted, at: 5), try event(file, f.charlie, .copied, at: 6)]
            let newest = [try event(file, f.charlie, .givenUp, at: 20), try event(file, f.delta, .lost, at: 21)]
            kept += newest
            all += newest
            let young = try event(gone, f.alpha, .givenUp, at: 1000)
            all += [young, try event(gone, f.alpha, .copied, at: 50)]
            all += try (1...7).map { try event(busy, f.bravo, .givenUp, at: $0) }
            try await f.store.record(all)
            _ = try await f.remove([gone], now: true)
            let retention = EventRetention(newest: 2, since: Timestamp(seconds: 900, nanoseconds: 0))
            for limit in [3, 100] {
                var (after, deleted, rounds): (FileID?, Int, Int) = (nil, 0, 0)
                repeat {
                    let trimmed = try await f.store.trimEvents(retention, after: after, limit: limit)
                    (after, deleted, rounds) = (trimmed.next, deleted + trimmed.deleted, rounds + 1)
                    try expect(rounds < 100, "trimming comes to an end")
                } while after != nil
                try expect(deleted > 0, "something was deleted")
                if limit == 3 { try await f.store.record([try event(busy, f.bravo, .givenUp, at: 0)]) }
            }
            try expectEqual(try await f.store.events(of: file.id, limit: 10), kept)
            try expectEqual(try await f.store.events(of: gone.id, limit: 10), [young])
            try expectEqual(try await f.store.events(of: busy.id, limit: 10).map(\.at.seconds), [6, 7])
            try expectEqual(try await f.store.events(of: other.id, limit: 10), [])
        },
    ]

    static let settings: [MetadataConformance] = [
        MetadataConformance("settings: stored by name, all at once, removed by nil") { f in
            try expectEqual(try await f.store.settings(), StoredSettings())
            try expectEqual(try await f.store.changeSettings(SettingsChange()), StoredSettings())
            let first = try await f.store.changeSettings(
                SettingsChange(values: ["floor": "-1", "scrub-interval": "30d"], started: ["floor": "0"]))
            try expectEqual(
                first, StoredSettings(values: ["floor": "-1", "scrub-interval": "30d"], started: ["floor": "0"]))
            try expectEqual(try await f.store.settings(), first)
            let second = try await f.store.changeSettings(
                SettingsChange(values: ["floor": nil, "copies": "2"], started: ["floor": nil]))
            try expectEqual(second, StoredSettings(values: ["scrub-interval": "30d", "copies": "2"]))
            try expectEqual(try await f.store.changeSettings(SettingsChange(values: ["floor": nil])), second)
        },
        MetadataConformance("settings: changes at the same time do not undo each other") { f in
            let store = f.store
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in 0..<8 {
                    group.addTask {
                        _ = try await store.changeSettings(SettingsChange(values: ["name-\(index)": "\(index)"]))
                    }
                }
                try await group.waitForAll()
            }
            try expectEqual(try await f.store.settings().values.count, 8)
        },
    ]
}
