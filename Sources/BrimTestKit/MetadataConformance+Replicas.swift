import BrimMetadata
import BrimModel

extension MetadataConformance {
    static let replicas: [MetadataConformance] = [
        MetadataConformance("add copies") { f in
            let file = try await f.file("f", on: [f.alpha])
            let other = try await f.file("g", on: [f.alpha])
            var wrongFile = try f.change(file, f.bravo)
            wrongFile.file = other.id
            let wrongBlob = ReplicaChange(file: file.id, blob: f.blob(), server: f.bravo)
            let changes = [
                try f.change(file, f.bravo), try f.change(file, f.alpha), wrongFile, wrongBlob,
                try f.change(file, f.delta),
                try f.change(file, f.bravo),
            ]
            try expectEqual(
                try await f.store.addReplicas(changes, view: f.view), [true, true, false, false, true, true])
            let content = try await f.content(file)
            try expectEqual(content.replicas, [f.alpha, f.bravo, f.delta])
            try expectEqual(content.k, 2)
            try expectEqual(try await f.current(file).rev, file.rev, "rev")
            try expectEqual(try await f.content(other).replicas, [f.alpha])
            try expectEqual(try await f.store.addReplicas([], view: f.view), [])
        },
        MetadataConformance("a copy that arrives after an overwrite or removal is not entered") { f in
            let file = try await f.file("f", on: [f.alpha])
            _ = try await f.commit(f.write("f", on: [f.alpha]))
            let removed = try await f.file("g", on: [f.alpha])
            _ = try await f.remove([removed])
            let changes = [try f.change(file, f.bravo), try f.change(removed, f.bravo)]
            try expectEqual(try await f.store.addReplicas(changes, view: f.view), [false, false])
            try expectEqual(try await f.content(file).replicas, [f.alpha])
        },
        MetadataConformance("give up: each condition") { f in
            let file = try await f.file("f", on: [f.alpha, f.bravo, f.charlie, f.delta], n: 2)
            func giveUp(_ change: ReplicaChange, _ least: Int) async throws -> Bool {
                try await f.store.giveUp([change], minSurplus: [least], view: f.view)[0]
            }
            // k is 3, as delta does not count.
            try expect(try await !giveUp(f.change(file, f.alpha), 2), "a surplus of 1 is not 2")
            try expect(
                try await !giveUp(ReplicaChange(file: file.id, blob: f.blob(), server: f.alpha), 1),
                "another blob is not given up")
            var other = try f.change(file, f.alpha)
            other.file = FileID(999_999)
            try expect(try await !giveUp(other, 1), "another file is not given up")
            try expectEqual(try await f.content(file).replicas.count, 4)
            try expect(try await giveUp(f.change(file, f.alpha), 1), "a surplus of 1 is enough")
            try expectEqual(try await f.content(file).surplus, 0)
            try expect(try await !giveUp(f.change(file, f.alpha), -9), "it went by an earlier call")
            try expect(try await !giveUp(f.change(file, f.bravo), 1), "the surplus is 0 now")
            try expect(try await giveUp(f.change(file, f.bravo), 0), "charlie is up")
            // Delta is not up, so charlie holds the last copy.
            try expect(try await !giveUp(f.change(file, f.charlie), -9), "it is the last copy")
            try expect(try await giveUp(f.change(file, f.delta), -9), "charlie holds another")
            try expectEqual(try await f.content(file).replicas, [f.charlie])
        },
        MetadataConformance("give up the last two copies at once: one goes") { f in
            for round in 0..<8 {
                let file = try await f.file("f\(round)", on: [f.alpha, f.bravo], n: 1)
                let alpha = try f.change(file, f.alpha)
                let bravo = try f.change(file, f.bravo)
                async let first = f.store.giveUp([alpha], minSurplus: [-9], view: f.view)
                async let second = f.store.giveUp([bravo], minSurplus: [-9], view: f.view)
                let answers = try await [first[0], second[0]]
                try expectEqual(answers.count { $0 }, 1, "copies given up")
                try expectEqual(try await f.content(file).replicas, [answers[0] ? f.bravo : f.alpha])
            }
        },
        MetadataConformance("give up several copies of one file in one call") { f in
            let file = try await f.file("f", on: [f.alpha, f.bravo, f.charlie], n: 1)
            let changes = try [f.alpha, f.bravo, f.charlie].map { try f.change(file, $0) }
            let answers = try await f.store.giveUp(changes, minSurplus: [1, 1, 0], view: f.view)
            try expectEqual(answers, [true, true, false])
            try expectEqual(try await f.content(file).replicas, [f.charlie])
        },
        MetadataConformance("lose copies, the last one too") { f in
            let file = try await f.file("f", on: [f.alpha, f.bravo])
            try await f.store.loseReplicas([f.change(file, f.alpha), f.change(file, f.charlie)], view: f.view)
            try expectEqual(try await f.content(file).replicas, [f.bravo])
            try await f.store.loseReplicas(
                [ReplicaChange(file: file.id, blob: f.blob(), server: f.bravo)], view: f.view)
            try expectEqual(try await f.content(file).k, 1)
            try await f.store.loseReplicas([f.change(file, f.bravo)], view: f.view)
            let content = try await f.content(file)
            try expectEqual(content.replicas, [])
            try expectEqual(content.surplus, -3)
            try expect(!content.readable, "a file without copies is not readable")
        },
        MetadataConformance("recount, down and up again, in pieces") { f in
            try await f.join(f.alpha)
            for i in 0..<10 {
                try await f.file("f\(i)", on: i % 3 == 0 ? [f.alpha] : [f.alpha, f.bravo], n: 1 + i % 4)
            }
            for i in 0..<3 { try await f.file("other\(i)", on: [f.bravo]) }

            func recount(rising: Bool) async throws -> Int {
                var progress = RecountProgress(epoch: f.view.epoch)
                var calls = 0
                while !progress.finished {
                    progress = try await f.store.recount(
                        f.alpha, from: progress, rising: rising, limit: 3, view: f.view)
                    // Another leader goes on from what is stored.
                    try expectEqual(try await f.store.servers()[0].recount, progress)
                    calls += 1
                    try expect(calls < 20, "a recount comes to an end")
                }
                return calls
            }
            f.view = ServerView(epoch: 2, counted: [f.bravo], readable: [f.bravo], up: [f.bravo])
            try expectEqual(try await recount(rising: false), 4, "calls")
            try await f.checkCounts()
            try expectEqual(try await f.store.histogram().unreachableFiles, 4)
            f.view = ServerView(epoch: 3, counted: [f.alpha, f.bravo], readable: [f.alpha, f.bravo], up: [f.bravo])
            try expectEqual(try await recount(rising: true), 4, "calls")
            try expectEqual(try await f.store.histogram().unreachableFiles, 0)
            try await expectError(.notFound) {
                _ = try await f.store.recount(
                    f.delta, from: RecountProgress(epoch: 3), rising: true, limit: 3, view: f.view)
            }
        },
        MetadataConformance("a recount begins anew for another epoch") { f in
            try await f.join(f.alpha)
            for i in 0..<4 { try await f.file("f\(i)", on: [f.alpha]) }
            let half = try await f.store.recount(
                f.alpha, from: RecountProgress(epoch: 1), rising: false, limit: 2, view: f.view)
            f.view = ServerView(epoch: 2, counted: [], readable: [], up: [])
            let all = try await f.store.recount(f.alpha, from: half, rising: false, limit: 9, view: f.view)
            try expectEqual(all.epoch, 2)
            try expect(all.finished, "it is finished")
        },
        MetadataConformance("blobs on a server, page by page") { f in
            var blobs: [BlobID] = []
            for i in 0..<7 {
                let file = try await f.file("f\(9 - i)", on: i == 3 ? [f.bravo] : [f.bravo, f.alpha])
                if i != 3 { blobs.append(try f.change(file, f.alpha).blob) }
            }
            func page(_ after: BlobID?, _ through: BlobID?, _ limit: Int) async throws -> [BlobID] {
                let page = try await f.store.blobs(on: f.alpha, after: after, through: through, limit: limit)
                try expect(page.allSatisfy { $0.server == f.alpha }, "all are on alpha")
                return page.map(\.blob)
            }
            try expectEqual(try await page(nil, nil, 4), Array(blobs[..<4]))
            try expectEqual(try await page(blobs[3], nil, 4), Array(blobs[4...]))
            try expectEqual(try await page(blobs[0], blobs[4], 9), Array(blobs[1...4]))
            try expectEqual(try await page(nil, blobs[1], 9), Array(blobs[...1]))
        },
        MetadataConformance("files by blob: live and current ones only") { f in
            let first = try await f.file("f")
            let second = try await f.commit(f.write("f"))[0].entry
            let removed = try await f.file("g")
            _ = try await f.remove([removed])
            let blobs = try [first, second, removed].map { try f.change($0, f.alpha).blob }
            try expectEqual(try await f.store.files(withBlobs: blobs + [f.blob()]), [blobs[1]: second])
            try expectEqual(try await f.store.files(withBlobs: []), [:])
        },
        MetadataConformance("events are taken") { f in
            let file = try await f.file("f")
            try await f.store.record([
                FileEvent(
                    file: file.id, blob: f.change(file, f.alpha).blob, server: f.alpha, kind: .copied,
                    reason: "surplus -1 of $n", at: ConformanceFixture.time)
            ])
            try await f.store.record([])
        },
    ]
}
