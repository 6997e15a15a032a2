import BrimMetadata
import BrimModel
import BrimPlacement

extension MetadataConformance {
    static let trash: [MetadataConformance] = [
        MetadataConformance("a removed file keeps its copies, outside of all that is counted and copied") { f in
            let file = try await f.file("f", on: [f.alpha, f.bravo], n: 5)
            let spare = try await f.file("spare", on: [f.alpha, f.bravo], n: 1)
            try expectEqual(try await f.remove([file]), [nil])
            try expectEqual(try await f.store.entry(file.id), nil)
            try expectEqual(try await f.names(), ["spare"])
            let removed = try await f.store.removedFile(file.id)
            try expectEqual(removed?.path, "/f")
            try expectEqual(removed?.formerN, 5)
            try expectEqual(removed?.entry.content?.replicas, [f.alpha, f.bravo])
            try expectEqual(removed?.entry.content?.k, 2)
            let blob = try f.change(file, f.alpha).blob
            try expectEqual(try await f.owner(blob)?.kind, .trash)
            try expectEqual(try await f.owner(blob)?.file, file.id)
            try expectEqual(try await f.store.files(withBlobs: [blob]), [:])
            try expectEqual(try await f.store.tombstoned([blob]), [])
            try expectEqual(try await f.store.pendingDeletions(on: f.alpha, limit: 9), [])
            // Sorted above every spare copy where copies are given up, and nowhere else.
            try expectEqual(
                try await f.store.richest(on: f.alpha, minSurplus: 1, limit: 9).map(\.file), [file.id, spare.id])
            try expectEqual(try await f.store.maxSurplus(on: f.alpha), 1)
            try expectEqual(try await f.store.maxSurplus(on: f.delta), nil)
            try expectEqual(try await f.store.surplusBounds(), 1...1)
            try expectEqual(try await f.store.histogram().levels.map(\.files), [1])
            let needy = try await f.store.neediest(after: nil, limit: 9, brims: [99, 99, 99], maxCopies: 9)
            try expectEqual(needy.map(\.id), [spare.id])
            try expectEqual(
                try await f.store.blobs(on: f.alpha, after: nil, through: nil, limit: 9).map(\.file),
                [file.id, spare.id])
            try expectEqual(try await f.store.addReplicas([f.change(file, f.charlie)], view: f.view), [false])
            try expectEqual(try await f.store.trashTotals(nil), TrashTotals(files: 1, bytes: 20))
            try expectEqual(try await f.store.trashTotals(.at("/f")), TrashTotals(files: 1, bytes: 20))
            try expectEqual(try await f.store.trashTotals(.below("/f")), TrashTotals())
        },
        MetadataConformance("undelete: the file is as it was, and counts again") { f in
            let directory = try await f.directory("d")
            let file = try await f.commit(f.write("f", n: 5, attributes: ["a": .int(1)]))[0].entry
            _ = try await f.remove([file])
            // Servers come and go meanwhile.
            f.view = ServerView(epoch: 2, counted: [f.bravo], readable: [f.bravo], up: [f.bravo])
            let back = try await f.store.undelete(file.id, to: f.place("g", in: directory.id), view: f.view)
            try expectEqual(back.id, file.id)
            try expectEqual(back.attributes, file.attributes)
            try expectEqual(back.modified, file.modified)
            try expect(back.rev > file.rev, "rev rises")
            try expectEqual(back.content?.n, 5)
            try expectEqual(back.content?.k, 1)
            try expectEqual(back.content?.version, 1)
            try expectEqual(try await f.current(file), back)
            try expectEqual(try await f.names(in: directory.id), ["g"])
            try expectEqual(try await f.store.removedFile(file.id), nil)
            try expectEqual(try await f.store.trashTotals(nil), TrashTotals())
            // And may be removed once more.
            try expectEqual(try await f.remove([back]), [nil])
        },
        MetadataConformance("undelete refuses what cannot be") { f in
            let file = try await f.file("f")
            let gone = try await f.directory("gone")
            _ = try await f.remove([gone])
            try await expectError(.notFound) {
                _ = try await f.store.undelete(file.id, to: f.place("x"), view: f.view)
            }
            _ = try await f.remove([file])
            let other = try await f.file("f")
            try await expectError(.exists) { _ = try await f.store.undelete(file.id, to: f.place("f"), view: f.view) }
            try await expectError(.notFound) {
                _ = try await f.store.undelete(file.id, to: f.place("f", in: gone.id), view: f.view)
            }
            try await expectError(.notDirectory) {
                _ = try await f.store.undelete(file.id, to: f.place("f", in: other.id), view: f.view)
            }
            try await expectError(.notFound) {
                _ = try await f.store.undelete(FileID(999_999), to: f.place("x"), view: f.view)
            }
            try expectEqual(try await f.store.undelete(file.id, to: f.place("x"), view: f.view).id, file.id)
        },
        MetadataConformance("removed files are listed by path, the last removed first, page by page") { f in
            var ids: [String: [FileID]] = [:]
            for round in 0..<3 {
                for name in ["b", "a", "a-b", "é"] {
                    let file = try await f.file(name)
                    ids[name, default: []].insert(file.id, at: 0)
                    _ = try await f.store.remove(
                        [Removal(file, path: "/d/\(name)")], now: round == 3, view: f.view)
                }
            }
            let other = try await f.file("other")
            _ = try await f.store.remove([Removal(other, path: "/d-x")], now: false, view: f.view)
            let expected = ["a", "a-b", "b", "é"].flatMap { ids[$0] ?? [] }
            for limit in [1, 2, 5, 100] {
                var seen: [FileID] = []
                var after: TrashPosition?
                while true {
                    let page = try await f.store.removedFiles(.below("/d"), after: after, limit: limit)
                    try expect(page.count <= limit, "a page of \(limit) has \(page.count)")
                    guard let last = page.last else { break }
                    seen += page.map(\.entry.id)
                    after = last.position
                }
                try expectEqual(seen, expected, "pages of \(limit)")
            }
            try expectEqual(
                try await f.store.removedFiles(.at("/d/a"), after: nil, limit: 2).map(\.entry.id),
                Array((ids["a"] ?? []).prefix(2)))
            try expectEqual(try await f.store.removedFiles(.below("/"), after: nil, limit: 99).count, 13)
            try expectEqual(try await f.store.removedFiles(.at("/d"), after: nil, limit: 9), [])
            try expectEqual(try await f.store.removedFiles(.below("/"), after: nil, limit: 0), [])
        },
        MetadataConformance("removed at once, nothing is left but tombstones, of old versions too") { f in
            let writes = [try f.write("f"), try f.write("f", on: [f.charlie]), try f.write("f")]
            for (i, write) in writes.enumerated() {
                _ = try await f.commit(write)
                if i == 1 { try await f.settle() }
            }
            guard let file = try await f.store.entry(at: f.place("f")) else {
                throw ConformanceFailure(description: "it was not committed")
            }
            let blobs = writes.map(\.blob)
            let kinds = try await f.store.owners(of: blobs).mapValues(\.kind)
            try expectEqual(blobs.map { kinds[$0] }, [.old, .former, .live])
            try expectEqual(try await f.remove([file], now: true), [nil])
            try expectEqual(try await f.store.owners(of: blobs), [:])
            try expectEqual(try await f.store.tombstoned(blobs), Set(blobs))
            try expectEqual(try await f.store.pendingDeletions(on: f.charlie, limit: 9), [blobs[1]])
            try expectEqual(try await f.store.richest(on: f.alpha, minSurplus: .min, limit: 9), [])
            try expectEqual(try await f.store.trashTotals(nil), TrashTotals())
            // What has no copy cannot be kept.
            let lost = try await f.file("lost", on: [f.alpha])
            try await f.store.loseReplicas([f.change(lost, f.alpha)], view: f.view)
            _ = try await f.remove([f.current(lost)])
            try expectEqual(try await f.store.removedFile(lost.id), nil)
            try expectEqual(try await f.store.tombstoned([f.change(lost, f.alpha).blob]).count, 1)
        },
        MetadataConformance("old versions: kept, listed, and given up like trash") { f in
            let first = try f.write("f", size: 1, on: [f.alpha], n: 2)
            let second = try f.write("f", size: 2, on: [f.alpha, f.bravo])
            let file = try await f.commit(first)[0].entry
            _ = try await f.commit(second)
            func versions(_ before: Int64? = nil, _ limit: Int = 9) async throws -> [Int64] {
                try await f.store.formerVersions(of: file.id, before: before, limit: limit).map(\.content.version)
            }
            try expectEqual(try await versions(), [1])
            try expectEqual(try await f.store.settleVersions(of: [FileID(999_999)], limit: 9, view: f.view), 0)
            try expectEqual(try await f.store.settleVersions(of: nil, limit: 9, view: f.view), 1)
            try expectEqual(try await f.store.settleVersions(of: nil, limit: 9, view: f.view), 0)
            _ = try await f.commit(f.write("f", size: 3, on: [f.alpha]))
            try expectEqual(try await versions(), [2, 1])
            try expectEqual(try await versions(2), [1])
            try expectEqual(try await versions(nil, 1), [2])
            try await f.settle()
            try expectEqual(try await versions(), [2, 1])
            let old = try await f.store.formerVersions(of: file.id, before: 2, limit: 1).first
            try expectEqual(old?.content.size, 1)
            try expectEqual(old?.content.checksum, first.checksum)
            try expectEqual(old?.modified, ConformanceFixture.time)
            let content = try await f.content(file)
            try expectEqual([content.n, content.k], [2, 1])
            let victims = try await f.store.richest(on: f.alpha, minSurplus: 1, limit: 9)
            try expectEqual(Set(victims.map(\.blob)), [first.blob, second.blob])
            guard let victim = victims.first(where: { $0.blob == second.blob }) else { return }
            let change = { ReplicaChange(file: victim.file, blob: victim.blob, server: $0) }
            try expectEqual(try await f.store.giveUp([change(f.alpha)], minSurplus: [1], view: f.view), [true])
            try expectEqual(try await f.owner(second.blob)?.content.replicas, [f.bravo])
            try expectEqual(try await versions(), [2, 1])
            try expectEqual(try await f.store.giveUp([change(f.bravo)], minSurplus: [1], view: f.view), [true])
            try expectEqual(try await versions(), [1])
            try expectEqual(try await f.store.tombstoned([second.blob, first.blob]), [second.blob])
            try await expectError(.notFound) { _ = try await f.store.restore(2, of: file.id, view: f.view) }
        },
        MetadataConformance("restore: the old version's blob becomes the current one, of a new version") { f in
            let first = try f.write("f", size: 1, on: [f.alpha, f.delta], n: 2)
            let second = try f.write("f", size: 2, on: [f.bravo])
            let file = try await f.commit(first)[0].entry
            _ = try await f.commit(second)
            // Before and after it has a document of its own.
            for (settles, version) in [(false, Int64(1)), (true, 2), (true, 3)] {
                if settles { try await f.settle() }
                let before = try await f.current(file)
                let restored = try await f.store.restore(version, of: file.id, view: f.view)
                try expectEqual(restored.content?.version, (before.content?.version ?? 0) + 1)
                try expectEqual(restored.content?.n, 2)
                let source = version == 2 ? second : first
                try expectEqual(restored.content?.blob, source.blob)
                try expectEqual(restored.content?.replicas, source.replicas)
                try expectEqual(restored.content?.k, 1)
                try expectEqual(try await f.current(file), restored)
            }
            try await f.settle()
            let former = try await f.store.formerVersions(of: file.id, before: nil, limit: 9)
            try expectEqual(former.map(\.content.version), [4])
            try expectEqual(former.first?.content.blob, second.blob)
            let now = try await f.current(file)
            try expectEqual(try await f.store.restore(5, of: file.id, view: f.view), now)
            try await expectError(.notFound) { _ = try await f.store.restore(9, of: file.id, view: f.view) }
            try await expectError(.notFound) { _ = try await f.store.restore(1, of: file.id, view: f.view) }
            try await expectError(.notFound) { _ = try await f.store.restore(1, of: FileID(999_999), view: f.view) }
        },
        MetadataConformance("old versions leave with their file and come back with it") { f in
            let first = try f.write("f")
            let file = try await f.commit(first)[0].entry
            let current = try await f.commit(f.write("f"))[0].entry
            _ = try await f.remove([current])
            try expectEqual(
                try await f.store.formerVersions(of: file.id, before: nil, limit: 9).map(\.content.version), [1])
            try await f.settle()
            let back = try await f.store.undelete(file.id, to: f.place("g"), view: f.view)
            try expectEqual(back.content?.version, 2)
            let restored = try await f.store.restore(1, of: file.id, view: f.view)
            try expectEqual(restored.content?.blob, first.blob)
            try expectEqual(restored.content?.version, 3)
        },
        MetadataConformance("trash is given up to its last copy; its old versions go with it") { f in
            let old = try f.write("f", on: [f.alpha])
            _ = try await f.commit(old)
            let file = try await f.commit(f.write("f", on: [f.alpha, f.bravo], n: 1))[0].entry
            try await f.settle()
            _ = try await f.remove([file])
            let changes = [try f.change(file, f.alpha), try f.change(file, f.bravo)]
            try expectEqual(
                try await f.store.giveUp([changes[0]], minSurplus: [Int.max], view: f.view), [false])
            try expectEqual(try await f.store.giveUp(changes, minSurplus: [1, 1], view: f.view), [true, true])
            try expectEqual(try await f.store.removedFile(file.id), nil)
            let blobs = [old.blob, changes[0].blob]
            try expectEqual(try await f.store.owners(of: blobs), [:])
            try expectEqual(try await f.store.tombstoned(blobs), Set(blobs))
            try await expectError(.notFound) {
                _ = try await f.store.undelete(file.id, to: f.place("f"), view: f.view)
            }
            try expectEqual(try await f.store.giveUp(changes, minSurplus: [1, 1], view: f.view), [false, false])
        },
        MetadataConformance("an old version and its removed file are given up in one call") { f in
            let old = try f.write("f", on: [f.alpha])
            _ = try await f.commit(old)
            let file = try await f.commit(f.write("f", on: [f.alpha]))[0].entry
            try await f.settle()
            _ = try await f.remove([file])
            let changes = try await f.store.richest(on: f.alpha, minSurplus: 1, limit: 9).map {
                ReplicaChange(file: $0.file, blob: $0.blob, server: f.alpha)
            }
            try expectEqual(changes.count, 2)
            try expectEqual(try await f.store.giveUp(changes, minSurplus: [1, 1], view: f.view), [true, true])
            try expectEqual(try await f.store.tombstoned(changes.map(\.blob)).count, 2)
        },
        MetadataConformance("undelete against giving up the last copy: one of them wins whole") { f in
            for round in 0..<8 {
                let file = try await f.file("f\(round)", on: [f.alpha], n: 1)
                _ = try await f.remove([file])
                let change = try f.change(file, f.alpha)
                let place = try f.place("back\(round)")
                let (store, view) = (f.store, f.view)
                async let gone = store.giveUp([change], minSurplus: [1], view: view)
                async let back: Void = discardingConflicts([.notFound]) {
                    _ = try await store.undelete(file.id, to: place, view: view)
                }
                let wasGivenUp = try await gone[0]
                try await back
                let live = try await f.store.entry(file.id)
                try expectEqual(live == nil, wasGivenUp, "it is gone")
                try expectEqual(live?.content?.replicas ?? [f.alpha], [f.alpha])
                try expectEqual(try await f.store.tombstoned([change.blob]).isEmpty, !wasGivenUp)
            }
        },
        MetadataConformance("trash whose last copy is lost goes") { f in
            let file = try await f.file("f", on: [f.alpha, f.bravo])
            _ = try await f.remove([file])
            try await f.store.loseReplicas([f.change(file, f.alpha)], view: f.view)
            try expectEqual(try await f.store.removedFile(file.id)?.entry.content?.replicas, [f.bravo])
            try await f.store.loseReplicas([f.change(file, f.bravo)], view: f.view)
            try expectEqual(try await f.store.removedFile(file.id), nil)
            let blob = try f.change(file, f.alpha).blob
            try expectEqual(try await f.store.tombstoned([blob]), [blob])
        },
        MetadataConformance("orphans of trash and old versions are adopted") { f in
            let first = try f.write("f", on: [f.alpha])
            _ = try await f.commit(first)
            let file = try await f.commit(f.write("f", on: [f.alpha]))[0].entry
            try await f.settle()
            _ = try await f.remove([file])
            guard let old = try await f.owner(first.blob) else {
                throw ConformanceFailure(description: "the old version is gone")
            }
            let changes = [
                try f.change(file, f.charlie), ReplicaChange(file: old.file, blob: first.blob, server: f.charlie),
                ReplicaChange(file: file.id, blob: first.blob, server: f.charlie),
            ]
            try expectEqual(try await f.store.adopt(changes, view: f.view), [true, true, false])
            try expectEqual(try await f.store.removedFile(file.id)?.entry.content?.k, 2)
            try expectEqual(try await f.owner(first.blob)?.content.replicas, [f.alpha, f.charlie])
        },
        MetadataConformance("a recount sets k of trash, and its n stays") { f in
            try await f.join(f.alpha)
            let file = try await f.file("f", on: [f.alpha, f.bravo])
            _ = try await f.remove([file])
            let n = try await f.store.removedFile(file.id)?.entry.content?.n
            f.view = ServerView(epoch: 2, counted: [f.bravo], readable: [f.bravo], up: [f.bravo])
            _ = try await f.store.recount(
                f.alpha, from: RecountProgress(epoch: 2), rising: false, limit: 9, view: f.view)
            let content = try await f.store.removedFile(file.id)?.entry.content
            try expectEqual(content?.k, 1)
            try expectEqual(content?.n, n)
        },
        MetadataConformance("former, old and removed blobs can be neither abandoned nor committed again") { f in
            let writes = [try f.write("f"), try f.write("f"), try f.write("f"), try f.write("g")]
            _ = try await f.commit(writes[0])
            _ = try await f.commit(writes[1])
            try await f.settle()
            _ = try await f.commit(writes[2])
            _ = try await f.remove([f.commit(writes[3])[0].entry])
            let blobs = writes.map(\.blob)
            let kinds = try await f.store.owners(of: blobs).mapValues(\.kind)
            try expectEqual(blobs.map { kinds[$0] }, [.old, .former, .live, .trash])
            try expectEqual(try await f.store.abandon(blobs), [])
            for write in [writes[0], writes[1], writes[3]] {
                try await expectError(.conflict) { _ = try await f.commit(write) }
            }
            try expectEqual(try await f.store.owners(of: blobs).count, 4)
        },
        MetadataConformance("abandon against overwrites: a blob in use is never abandoned") { f in
            for round in 0..<6 {
                let first = try f.write("f\(round)")
                let second = try f.write("f\(round)")
                _ = try await f.commit(first)
                let (store, view) = (f.store, f.view)
                async let abandoned = store.abandon([first.blob])
                async let outcome = store.commit([second], view: view)
                async let settled = store.settleVersions(of: nil, limit: 9, view: view)
                _ = try await outcome[0].get()
                _ = try await settled
                try expectEqual(try await abandoned, [])
                try expect(try await f.owner(first.blob) != nil, "it is known")
            }
        },
        MetadataConformance("purge by kind, by path and by age") { f in
            func file(_ path: String, versions: Int, isRemoved: Bool) async throws -> Entry {
                let name = String(path.split(separator: "/").last ?? "")
                var entry = try await f.file(name, size: 1, on: [f.alpha, f.bravo])
                for _ in 1..<versions { entry = try await f.commit(f.write(name, size: 1))[0].entry }
                if isRemoved { _ = try await f.store.remove([Removal(entry, path: path)], now: false, view: f.view) }
                return entry
            }
            let live = try await file("/live", versions: 3, isRemoved: false)
            _ = try await file("/d/a", versions: 2, isRemoved: true)
            _ = try await file("/d/b", versions: 1, isRemoved: true)
            _ = try await file("/dd", versions: 1, isRemoved: true)
            try await f.settle()
            let past = Timestamp(seconds: 1_000_000_000, nanoseconds: 0)
            try expectEqual(
                try await f.store.purge(.all(trash: true, versions: true), before: past, limit: 9), Purged())
            try expectEqual(
                try await f.store.purge(.all(trash: false, versions: false), before: nil, limit: 9), Purged())
            try expectEqual(
                try await f.store.purge(.removed(.below("/d")), before: nil, limit: 9), Purged(files: 3, bytes: 6))
            try expectEqual(try await f.store.purge(.removed(.at("/d")), before: nil, limit: 9), Purged())
            try expectEqual(
                try await f.store.purge(.versions(of: [live.id]), before: nil, limit: 1), Purged(files: 1, bytes: 2))
            try expectEqual(
                try await f.store.purge(.all(trash: false, versions: true), before: nil, limit: 9),
                Purged(files: 1, bytes: 2))
            let future = Timestamp(seconds: 4_000_000_000, nanoseconds: 0)
            try expectEqual(
                try await f.store.purge(.all(trash: true, versions: true), before: future, limit: 9),
                Purged(files: 1, bytes: 2))
            try expectEqual(try await f.store.trashTotals(nil), TrashTotals())
            try expectEqual(try await f.names(), ["live"])
            try expectEqual(try await f.store.pendingDeletions(on: f.bravo, limit: 99).count, 6)
        },
        MetadataConformance("of a file that is overwritten without end so many versions wait and no more") { f in
            let first = try f.write("f")
            let file = try await f.commit(first)[0].entry
            for _ in 0...Limits.formerVersions { _ = try await f.commit(f.write("f")) }
            let former = try await f.store.formerVersions(of: file.id, before: nil, limit: 999)
            try expectEqual(former.count, Limits.formerVersions)
            try expectEqual(former.last?.content.blob, first.blob)
            try expectEqual(try await f.store.pendingDeletions(on: f.alpha, limit: 9).count, 1)
            try await f.settle()
            try expectEqual(
                try await f.store.formerVersions(of: file.id, before: nil, limit: 999).count, Limits.formerVersions)
        },
    ]
}
