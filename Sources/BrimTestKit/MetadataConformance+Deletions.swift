import BrimMetadata
import BrimModel

extension MetadataConformance {
    private static let future = Timestamp(seconds: 4_000_000_000, nanoseconds: 0)
    private static let past = Timestamp(seconds: 1_000_000_000, nanoseconds: 0)

    static let deletions: [MetadataConformance] = [
        MetadataConformance("removed files leave work for every holder") { f in
            let a = try await f.file("a", on: [f.alpha, f.bravo])
            let b = try await f.file("b", on: [f.alpha, f.delta])
            let blobs = try [a, b].map { try f.change($0, f.alpha).blob }
            try expectEqual(try await f.store.tombstoned(blobs), [])
            try expectEqual(try await f.remove([a, b], now: true).map { $0?.code }, [nil, nil])
            try expectEqual(try await f.store.tombstoned(blobs + [f.blob()]), Set(blobs))
            try expectEqual(try await f.store.pendingDeletions(on: f.alpha, limit: 9), blobs)
            try expectEqual(try await f.store.pendingDeletions(on: f.alpha, limit: 1), [blobs[0]])
            try expectEqual(try await f.store.pendingDeletions(on: f.delta, limit: 9), [blobs[1]])
            try expectEqual(try await f.store.pendingDeletions(on: f.charlie, limit: 9), [])
            try await f.store.deletionsDone(on: f.alpha, [blobs[0], f.blob()])
            try expectEqual(try await f.store.pendingDeletions(on: f.alpha, limit: 9), [blobs[1]])
            try expectEqual(try await f.store.pendingDeletions(on: f.bravo, limit: 9), [blobs[0]])
            try await f.store.deletionsDone(on: f.bravo, blobs)
            // The tombstone stays: a server that was away may still hold the blob.
            try expectEqual(try await f.store.tombstoned(blobs), Set(blobs))
            let known = f.blob()
            try await f.store.deletionsDue(on: f.charlie, [blobs[0], known])
            try await f.store.deletionsDue(on: f.charlie, [])
            try expectEqual(try await f.store.pendingDeletions(on: f.charlie, limit: 9), [blobs[0]])
            try expectEqual(try await f.store.tombstoned([known]), [])
            try await f.store.deletionsDone(on: f.charlie, [blobs[0]])
            try expectEqual(try await f.store.pendingDeletions(on: f.charlie, limit: 9), [])
        },
        MetadataConformance("an abandoned blob cannot be committed, a committed one not be abandoned") { f in
            let early = try f.write("early")
            let late = try f.write("late")
            let removed = try await f.file("removed")
            let removedBlob = try f.change(removed, f.alpha).blob
            _ = try await f.commit(early)
            _ = try await f.remove([removed], now: true)
            let wanted = [early.blob, late.blob, late.blob, removedBlob]
            try expectEqual(try await f.store.abandon(wanted), [late.blob, removedBlob])
            try expectEqual(try await f.store.abandon([late.blob]), [late.blob])
            try await expectError(.conflict) { _ = try await f.commit(late) }
            // One that fails does not keep the others from being entered.
            let good = try f.write("good")
            let outcomes = try await f.store.commit([late, good], view: f.view)
            try expect(
                (try? outcomes[0].get()) == nil && (try? outcomes[1].get()) != nil, "only the good one is entered")
            try expectEqual(try await f.names(), ["early", "good"])
            try expectEqual(try await f.store.abandon([]), [])
        },
        MetadataConformance("abandon against commit: one of them wins") { f in
            for round in 0..<8 {
                let write = try f.write("f\(round)")
                let (store, view) = (f.store, f.view)
                async let abandoned = store.abandon([write.blob])
                async let outcome = store.commit([write], view: view)
                let outcomes = try await outcome
                let committed = (try? outcomes[0].get()) != nil
                try expectEqual(try await abandoned.isEmpty, committed, "the blob is in use")
            }
        },
        MetadataConformance("tombstones go when every server has reported since") { f in
            try await f.join(f.alpha)
            try await f.join(f.bravo)
            let file = try await f.file("f", on: [f.alpha, f.delta])
            let blob = try f.change(file, f.alpha).blob
            _ = try await f.remove([file], now: true)
            func trimmed(before: Timestamp) async throws -> Bool {
                try await f.store.trimTombstones(before: before)
                let left = try await f.store.tombstoned([blob])
                return left.isEmpty
            }
            try await f.store.deletionsDone(on: f.alpha, [blob])
            try await f.store.noteReport(f.alpha, at: future)
            try expect(try await !trimmed(before: future), "bravo has not reported, so it stays")
            try await f.store.noteReport(f.bravo, at: past)
            try expect(try await !trimmed(before: future), "bravo has reported before, so it stays")
            try await f.store.noteReport(f.bravo, at: future)
            try expect(try await !trimmed(before: past), "it is not that old, so it stays")
            // Delta, which is no server, may hold what it likes.
            try expect(try await trimmed(before: future), "it goes")
        },
        MetadataConformance("tombstones stay while a server has to delete the blob") { f in
            try await f.join(f.alpha)
            try await f.store.noteReport(f.alpha, at: future)
            let file = try await f.file("f", on: [f.alpha])
            let blob = try f.change(file, f.alpha).blob
            _ = try await f.remove([file], now: true)
            try await f.store.trimTombstones(before: future)
            try expectEqual(try await f.store.tombstoned([blob]), [blob])
            try await f.store.deletionsDone(on: f.alpha, [blob])
            try await f.store.trimTombstones(before: future)
            try expectEqual(try await f.store.tombstoned([blob]), [])
        },
    ]
}
