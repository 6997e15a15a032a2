import BrimMetadata
import BrimModel

extension MetadataConformance {
    static let lifecycle: [MetadataConformance] = [
        MetadataConformance("drain: since the first time, over joins, until undrain") { f in
            try await f.join(f.alpha)
            let since = try await f.store.drain(f.alpha).drain
            try expect(since != nil, "it drains")
            try expectEqual(try await f.store.drain(f.alpha).drain, since, "drain twice")
            try expectEqual(try await f.join(f.alpha, boot: "b2").drain, since, "after a restart")
            try expectEqual(try await f.store.servers()[0].drain, since)
            try expectEqual(try await f.store.servers()[0].shownState, .draining)
            let record = try await f.store.undrain(f.alpha)
            try expectEqual(record.drain, nil)
            try expectEqual(record.shownState, .down)
            try expectEqual(try await f.store.undrain(f.alpha), record, "undrain twice")
            try await expectError(.notFound) { _ = try await f.store.drain(f.delta) }
            try await expectError(.notFound) { _ = try await f.store.undrain(f.delta) }
        },
        MetadataConformance("zone: what is requested anew counts, the same request leaves what was set") { f in
            try expectEqual(try await f.join(f.alpha, zone: "x").zone, "x")
            try expectEqual(try await f.store.setZone(f.alpha, "$rack").zone, "$rack")
            try expectEqual(try await f.join(f.alpha, zone: "x").zone, "$rack")
            try expectEqual(try await f.join(f.alpha, zone: "y").zone, "y")
            try expectEqual(try await f.join(f.alpha, zone: "y").requestedZone, "y")
            try await expectError(.notFound) { _ = try await f.store.setZone(f.delta, "x") }
        },
        MetadataConformance("forget: only what is draining or down, and it cannot join while it lasts") { f in
            try await f.join(f.alpha)
            _ = try await f.store.setState(f.alpha, from: .down, to: .up, term: 1)
            try await expectError(.conflict) { _ = try await f.store.beginForget(f.alpha, losesData: false) }
            try await expectError(.notFound) { _ = try await f.store.beginForget(f.delta, losesData: false) }
            _ = try await f.store.drain(f.alpha)
            let first = try await f.store.beginForget(f.alpha, losesData: false)
            try expectEqual(first.forget?.losesData, false)
            try expectEqual(try await f.store.beginForget(f.alpha, losesData: true).forget?.losesData, true)
            let again = try await f.store.beginForget(f.alpha, losesData: false)
            try expectEqual(again.forget?.losesData, true, "said once")
            try expectEqual(again.forget?.at, first.forget?.at)
            try await expectError(.unavailable) { try await f.join(f.alpha) }
            try await expectError(.exists) { try await f.join(f.alpha, id: "another") }
            try await expectError(.unavailable) { _ = try await f.store.undrain(f.alpha) }
            let back = try await f.store.cancelForget(f.alpha)
            try expect(back.forget == nil && back.drain != nil, "it drains still")
            try await f.join(f.alpha)
            _ = try await f.store.undrain(f.alpha)

            try await f.join(f.bravo)
            try expect(try await f.store.beginForget(f.bravo, losesData: true).drain != nil, "what is down drains too")
        },
        MetadataConformance("a forgotten id never joins again, another one may have the name") { f in
            try await f.join(f.alpha)
            try await f.join(f.bravo)
            let file = try await f.file("f", on: [f.alpha, f.bravo])
            _ = try await f.remove([file], now: true)
            _ = try await f.store.beginForget(f.alpha, losesData: false)
            try await f.store.endForget(f.alpha, id: "id")
            try await f.store.endForget(f.alpha, id: "id")
            try expectEqual(try await f.store.servers().map(\.name), [f.bravo])
            try expectEqual(try await f.store.pendingDeletions(on: f.alpha, limit: 9), [])
            try expectEqual(try await f.store.pendingDeletions(on: f.bravo, limit: 9).count, 1)
            try expect(try await f.store.isForgotten(id: "id"), "it is forgotten")
            try expect(try await !f.store.isForgotten(id: "another"), "that one is not")
            try await expectError(.forgotten) { try await f.join(f.alpha) }
            try await expectError(.forgotten) { try await f.join(f.delta) }
            try expectEqual(try await f.join(f.alpha, id: "another").state, .down)
            let early = Timestamp(seconds: 1, nanoseconds: 0)
            try expectEqual(try await f.store.forgotten(since: early).map(\.name), [f.alpha])
            try expectEqual(try await f.store.forgotten(since: Timestamp(seconds: 1 << 33, nanoseconds: 0)), [])
            // One of its old id does not harm the new one.
            try await f.store.endForget(f.alpha, id: "id")
            try expectEqual(try await f.store.servers().map(\.name), [f.alpha, f.bravo])
        },
        MetadataConformance("copies of a forgotten server go, but for the last ones") { f in
            try await f.join(f.alpha)
            for i in 0..<5 { try await f.file("both\(i)", on: [f.alpha, f.bravo]) }
            let sole = try await f.file("sole", on: [f.alpha])
            let away = try await f.file("away", on: [f.alpha, f.delta])
            try await f.file("other", on: [f.bravo])
            func drop(keeping others: Set<ServerName>?, _ limit: Int) async throws -> Int {
                try await f.store.dropReplicas(of: f.alpha, keeping: others, limit: limit, view: f.view)
            }
            f.view = ServerView(epoch: 2, counted: [f.bravo], readable: [f.bravo], up: [f.bravo])
            try await f.recountAll()
            try expectEqual(try await drop(keeping: [f.bravo], 3), 3)
            try expectEqual(try await drop(keeping: [f.bravo], 3), 2)
            try expectEqual(try await drop(keeping: [f.bravo], 3), 0)
            try expectEqual(
                try await f.store.copies(on: f.alpha, after: nil, limit: 9).map(\.file), [sole.id, away.id])
            try expectEqual(try await drop(keeping: nil, 9), 2)
            try expectEqual(try await f.content(sole).replicas, [])
            try expectEqual(try await f.content(away).replicas, [f.delta])
            try expect(try await !f.content(away).readable, "nobody who answers has it")
        },
        MetadataConformance("what is in the trash goes with a forgotten server that alone had it") { f in
            try await f.join(f.alpha)
            let old = try f.write("f", on: [f.alpha])
            _ = try await f.commit(old)
            let file = try await f.commit(f.write("f", on: [f.bravo]))[0].entry
            try await f.settle()
            let sole = try await f.file("sole", on: [f.alpha])
            let both = try await f.file("both", on: [f.alpha, f.bravo])
            _ = try await f.remove([sole, both])
            // Nobody minds the last copies of these.
            try expectEqual(
                try await f.store.dropReplicas(of: f.alpha, keeping: [f.bravo], limit: 9, view: f.view), 3)
            try expectEqual(
                try await f.store.dropReplicas(of: f.alpha, keeping: nil, limit: 9, view: f.view), 0)
            try expectEqual(try await f.store.removedFile(sole.id), nil)
            try expectEqual(try await f.store.removedFile(both.id)?.entry.content?.replicas, [f.bravo])
            try expectEqual(try await f.store.formerVersions(of: file.id, before: nil, limit: 9), [])
            let gone = [old.blob, try f.change(sole, f.alpha).blob]
            try expectEqual(try await f.store.tombstoned(gone), Set(gone))
            try await expectError(.notFound) {
                _ = try await f.store.undelete(sole.id, to: f.place("sole"), view: f.view)
            }
            try await expectError(.notFound) { _ = try await f.store.restore(1, of: file.id, view: f.view) }
            try expectEqual(
                try await f.store.undelete(both.id, to: f.place("both"), view: f.view).content?.replicas, [f.bravo])
        },
        MetadataConformance("versions just overwritten are taken off a forgotten server too") { f in
            try await f.join(f.alpha)
            // Of these one is lost with the server, one stays, and one never was there.
            let (sole, both) = (try f.write("f", on: [f.alpha]), try f.write("f", on: [f.alpha, f.bravo]))
            let other = try f.write("g", on: [f.bravo])
            for write in [sole, both, try f.write("f", on: [f.bravo]), other, try f.write("g", on: [f.bravo])] {
                _ = try await f.commit(write)
            }
            // A removed file's, and so many that it takes several calls.
            let removed = try f.write("h", on: [f.alpha, f.bravo])
            _ = try await f.commit(removed)
            _ = try await f.remove([try await f.commit(f.write("h", on: [f.bravo]))[0].entry])
            var many: [BlobID] = []
            for i in 0..<3 {
                let write = try f.write("many\(i)", on: [f.alpha, f.bravo])
                many.append(write.blob)
                _ = try await f.commit(write)
                _ = try await f.commit(f.write("many\(i)", on: [f.bravo]))
            }
            try expectEqual(try await f.owner(both.blob)?.kind, .former)
            while try await f.store.dropReplicas(of: f.alpha, keeping: [f.bravo], limit: 2, view: f.view) > 0 {}
            try expectEqual(try await f.store.tombstoned([sole.blob, both.blob]), [sole.blob])
            try expectEqual(try await f.owner(sole.blob), nil)
            for blob in [both.blob, removed.blob] + many {
                try expectEqual(try await f.owner(blob)?.kind, .old)
                try expectEqual(try await f.owner(blob)?.content.replicas, [f.bravo])
            }
            try expectEqual(try await f.owner(other.blob)?.kind, .former, "it has nothing to do with that server")
        },
        MetadataConformance("a forgotten server becomes no holder, and stays one until it is taken off") { f in
            let file = try await f.file("f", on: [f.alpha, f.bravo])
            // Written by whoever did not know yet.
            let late = try await f.file("late", on: [f.charlie])
            f.view.forgotten = [f.charlie, f.delta]
            try await f.join(f.charlie)
            try await f.recountAll()
            _ = try await f.store.update(late.id, EntryChange(n: 2), view: f.view)
            try expectEqual(try await f.content(late).replicas, [f.charlie], "nobody else has it")
            try expectEqual(
                try await f.store.addReplicas([f.change(file, f.charlie), f.change(file, f.bravo)], view: f.view),
                [false, true])
            let written = try await f.commit(f.write("g", on: [f.charlie, f.bravo]))[0].entry
            try expectEqual(written.content?.replicas, [f.bravo])
            try expectEqual(try await f.content(written).replicas, [f.bravo])
            let overwritten = try await f.commit(f.write("f", on: [f.alpha, f.delta]))[0].entry
            try expectEqual(overwritten.content?.replicas, [f.alpha])
            try expectEqual(try await f.content(overwritten).replicas, [f.alpha])
            try await expectError(.conflict) { _ = try await f.commit(f.write("h", on: [f.charlie, f.delta])) }
            try expectEqual(try await f.names(), ["f", "g", "late"])
        },
        MetadataConformance("copies on a server, page by page") { f in
            var files: [Entry] = []
            for i in 0..<5 {
                files.append(try await f.file("f\(i)", size: Int64(i), on: [f.alpha, f.bravo], n: 1 + i))
            }
            try await f.file("other", on: [f.bravo])
            let removed = try await f.file("removed", on: [f.alpha])
            _ = try await f.remove([removed], now: true)
            let first = try await f.store.copies(on: f.alpha, after: nil, limit: 3)
            try expectEqual(first.map(\.file), files[..<3].map(\.id))
            let rest = try await f.store.copies(on: f.alpha, after: first.last?.blob, limit: 9)
            try expectEqual(rest.map(\.file), files[3...].map(\.id))
            try expectEqual(
                rest.last,
                HeldCopy(
                    file: files[4].id, blob: f.change(files[4], f.alpha).blob, size: 4, n: 5,
                    replicas: [f.alpha, f.bravo]))
        },
        MetadataConformance("views tell who is forgotten") { f in
            let term = try await f.store.beginTerm(holder: "master")
            let view = try await f.store.publishView(
                counted: [f.bravo], readable: [f.bravo], up: [], forgotten: [f.alpha], term: term)
            try expectEqual(view.forgotten, [f.alpha])
            try expectEqual(try await f.store.view(), view)
        },
    ]
}
