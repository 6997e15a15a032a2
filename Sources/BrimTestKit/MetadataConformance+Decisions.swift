import BrimMetadata
import BrimModel
import BrimPlacement

extension MetadataConformance {
    private static let ample: [Int64] = [1000, 1000, 1000]

    static let decisions: [MetadataConformance] = [
        MetadataConformance("neediest: by surplus, then size, then id; page by page") { f in
            try await f.file("a", size: 30, on: [f.alpha], n: 2)
            try await f.file("b", size: 20, on: [f.alpha], n: 2)
            try await f.file("c", size: 20, on: [f.bravo], n: 2)
            try await f.file("d", size: 900, on: [f.alpha], n: 9)
            try await f.file("e", size: 1, on: [f.alpha, f.bravo], n: 1)
            try await f.file("f", size: 20, on: [f.alpha, f.bravo], n: 3)
            try await f.directory("directory")
            let expected = ["d", "b", "c", "f", "a", "e"]
            for limit in [1, 2, 3, 10] {
                var seen: [String] = []
                var after: NeedyPosition?
                while true {
                    let page = try await f.store.neediest(after: after, limit: limit, brims: ample, maxCopies: 16)
                    try expect(page.count <= limit, "a page of \(limit) has \(page.count)")
                    guard let last = page.last, let content = last.content else { break }
                    seen += page.compactMap { $0.name?.text }
                    after = NeedyPosition(surplus: content.surplus, size: content.size, file: last.id)
                }
                try expectEqual(seen, expected, "pages of \(limit)")
            }
            try expectEqual(try await f.store.neediest(after: nil, limit: 0, brims: ample, maxCopies: 16), [])
        },
        MetadataConformance("neediest leaves out what can take no further copy") { f in
            try await f.file("everywhere", on: [f.alpha, f.bravo, f.charlie], n: 9)
            try await f.file("large", size: 501, on: [f.alpha], n: 9)
            try await f.file("fits", size: 500, on: [f.alpha], n: 9)
            try await f.file("two", size: 100, on: [f.alpha, f.bravo], n: 9)
            try await f.file("two large", size: 101, on: [f.alpha, f.bravo], n: 9)
            func names(_ brims: [Int64], _ maxCopies: Int) async throws -> [String] {
                try await f.store.neediest(after: nil, limit: 99, brims: brims, maxCopies: maxCopies)
                    .compactMap { $0.name?.text }
            }
            // The order in which brims are given says nothing.
            try expectEqual(try await names([500, 100, 1000], 16), ["fits", "two"])
            try expectEqual(try await names([500, 100, 1000], 2), ["fits"])
            try expectEqual(try await names([500, 100, 1000], 1), [])
            try expectEqual(try await names([], 16), [])
            try expectEqual(try await names(ample, 16), ["fits", "large", "two", "two large"])
        },
        MetadataConformance("neediest leaves out unreachable files, not those of a draining server") { f in
            let unreachable = try await f.file("unreachable", on: [f.delta])
            f.view.readable.insert(f.delta)
            try await f.file("draining", on: [f.delta])
            f.view.readable.remove(f.delta)
            let files = try await f.store.neediest(after: nil, limit: 9, brims: ample, maxCopies: 16)
            try expectEqual(files.map { $0.name?.text }, ["draining"])
            try expectEqual(files.first?.content?.k, 0)
            f.view.readable.insert(f.delta)
            try await f.store.loseReplicas([f.change(unreachable, f.delta)], view: f.view)
        },
        MetadataConformance("richest: most surplus first, then the latest file") { f in
            let a = try await f.file("a", on: [f.alpha, f.bravo], n: 1)
            let b = try await f.file("b", on: [f.alpha, f.bravo, f.charlie], n: 1)
            let c = try await f.file("c", on: [f.alpha, f.bravo], n: 1)
            try await f.file("d", on: [f.bravo, f.charlie], n: 1)
            let e = try await f.file("e", on: [f.alpha], n: 3)
            func files(_ least: Int, _ limit: Int) async throws -> [FileID] {
                try await f.store.richest(on: f.alpha, minSurplus: least, limit: limit).map(\.file)
            }
            try expectEqual(try await files(.min, 9), [b.id, c.id, a.id, e.id])
            try expectEqual(try await files(1, 9), [b.id, c.id, a.id])
            try expectEqual(try await files(1, 2), [b.id, c.id])
            try expectEqual(try await files(3, 9), [])
            try expectEqual(try await f.store.richest(on: f.delta, minSurplus: .min, limit: 9), [])
            let victim = try await f.store.richest(on: f.alpha, minSurplus: 1, limit: 1).first
            let blob = try f.change(b, f.alpha).blob
            try expectEqual(
                victim,
                Victim(file: b.id, blob: blob, size: 10, surplus: 2, replicas: [f.alpha, f.bravo, f.charlie]))
        },
        MetadataConformance("what a server could give up: its part of spare copies, and trash") { f in
            try expectEqual(try await f.store.reclaimable(on: f.alpha), Reclaimable())
            try await f.file("needed", size: 100, on: [f.alpha, f.bravo], n: 2)
            try await f.file("risk", size: 100, on: [f.alpha], n: 3)
            try await f.file("one too many", size: 7, on: [f.alpha, f.bravo], n: 1)
            try await f.file("two too many", size: 10, on: [f.alpha, f.bravo, f.charlie], n: 1)
            let removed = try await f.file("removed", size: 50, on: [f.alpha, f.charlie], n: 1)
            _ = try await f.remove([removed])
            _ = try await f.file("old", size: 30, on: [f.charlie], n: 1)
            _ = try await f.file("old", size: 1, on: [f.bravo])
            try await f.settle()
            try expectEqual(try await f.store.reclaimable(on: f.alpha), Reclaimable(spare: 3 + 6, trash: 50))
            try expectEqual(try await f.store.reclaimable(on: f.bravo), Reclaimable(spare: 3 + 6, trash: 0))
            try expectEqual(try await f.store.reclaimable(on: f.charlie), Reclaimable(spare: 6, trash: 80))
        },
        MetadataConformance("bounds and histogram: readable files, the others apart") { f in
            try expectEqual(try await f.store.surplusBounds(), nil)
            try expectEqual(try await f.store.histogram(), SurplusHistogram())
            try await f.file("gone", size: 4, on: [f.delta], n: 9)
            try expectEqual(try await f.store.surplusBounds(), nil)
            try await f.file("a", size: 1, on: [f.alpha], n: 3)
            try await f.file("b", size: 2, on: [f.alpha], n: 3)
            let removed = try await f.file("c", size: 9, on: [f.alpha, f.bravo, f.charlie], n: 1)
            try expectEqual(try await f.store.surplusBounds(), -2...2)
            try expectEqual(try await f.remove([removed]), [nil])
            try await f.file("d", size: 3, on: [f.alpha, f.bravo], n: 1)
            try await f.directory("directory")
            _ = try await f.store.abandon([f.blob()])
            try expectEqual(try await f.store.surplusBounds(), -2...1)
            try expectEqual(
                try await f.store.histogram(),
                SurplusHistogram(
                    levels: [.init(surplus: -2, files: 2, bytes: 3), .init(surplus: 1, files: 1, bytes: 3)],
                    wanted: 3 * 3 + 3, unreachableFiles: 1, unreachableBytes: 4))
        },
    ]
}
