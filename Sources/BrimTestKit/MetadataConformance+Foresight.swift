import BrimMetadata
import BrimModel
import BrimPlacement

extension MetadataConformance {
    private static func sum(_ changes: [ForeseenChange]) -> Set<ForeseenChange> {
        var sums: [[Int?]: ForeseenChange] = [:]
        for change in changes {
            var sum =
                sums[[change.before, change.after]]
                ?? ForeseenChange(before: change.before, after: change.after, files: 0, bytes: 0)
            sum.files += change.files
            sum.bytes += change.bytes
            sums[[change.before, change.after]] = sum
        }
        return Set(sums.values)
    }

    static let foresight = [
        MetadataConformance("foreseen losses: what the recount would say") { f in
            try await f.file("one", size: 1, on: [f.alpha], n: 1)
            try await f.file("two", size: 2, on: [f.alpha, f.bravo], n: 1)
            try await f.file("three", size: 4, on: [f.alpha, f.bravo, f.charlie], n: 3)
            try await f.file("away", size: 8, on: [f.delta, f.alpha], n: 2)
            try await f.file("elsewhere", size: 16, on: [f.charlie], n: 2)
            let removed = try await f.file("removed", size: 32, on: [f.alpha], n: 1)
            try expectEqual(try await f.remove([removed]), [nil])
            try await f.directory("directory")
            try expectEqual(
                sum(try await f.store.foresee(ForeseenEvent(lost: [f.alpha]), view: f.view)),
                [
                    .init(before: 0, after: nil, files: 1, bytes: 1), .init(before: 1, after: 0, files: 1, bytes: 2),
                    .init(before: 0, after: -1, files: 1, bytes: 4), .init(before: -1, after: nil, files: 1, bytes: 8),
                ])
            try expectEqual(
                sum(try await f.store.foresee(ForeseenEvent(lost: [f.alpha, f.bravo]), view: f.view)),
                [
                    .init(before: 0, after: nil, files: 1, bytes: 1), .init(before: 1, after: nil, files: 1, bytes: 2),
                    .init(before: 0, after: -2, files: 1, bytes: 4), .init(before: -1, after: nil, files: 1, bytes: 8),
                ])
            try expectEqual(try await f.store.foresee(ForeseenEvent(), view: f.view), [])
        },
        MetadataConformance("foreseen n: of files in directories and of single ones, with losses once each") { f in
            let directory = try await f.directory("directory")
            try await f.file("in", in: directory.id, size: 1, on: [f.alpha, f.bravo], n: 1)
            try await f.file("gone", in: directory.id, size: 2, on: [f.delta], n: 1)
            let single = try await f.file("single", size: 4, on: [f.alpha], n: 1)
            try await f.file("other", size: 8, on: [f.alpha, f.charlie], n: 1)
            var copies = ForeseenEvent.Copies(directories: [directory.id], files: [single.id], n: 4)
            try expectEqual(
                sum(try await f.store.foresee(ForeseenEvent(copies: copies), view: f.view)),
                [
                    .init(before: 1, after: -2, files: 1, bytes: 1), .init(before: nil, after: nil, files: 1, bytes: 2),
                    .init(before: 0, after: -3, files: 1, bytes: 4),
                ])
            try expectEqual(
                sum(try await f.store.foresee(ForeseenEvent(lost: [f.alpha], copies: copies), view: f.view)),
                [
                    .init(before: 1, after: -3, files: 1, bytes: 1), .init(before: nil, after: nil, files: 1, bytes: 2),
                    .init(before: 0, after: nil, files: 1, bytes: 4), .init(before: 1, after: 0, files: 1, bytes: 8),
                ])
            copies.directories = []
            try expectEqual(
                sum(try await f.store.foresee(ForeseenEvent(copies: copies), view: f.view)),
                [.init(before: 0, after: -3, files: 1, bytes: 4)])
        },
        MetadataConformance("fragile files: few copies, or least surplus") { f in
            try expectEqual(try await f.store.fragileFiles(view: f.view, limit: 10), [])
            try await f.file("one", size: 1, on: [f.alpha, f.delta], n: 1)
            try await f.file("two", size: 2, on: [f.bravo, f.alpha], n: 1)
            try await f.file("away", size: 4, on: [f.delta], n: 1)
            let all = [f.alpha, f.bravo, f.charlie]
            try await f.file("poor", size: 8, on: all, n: 4)
            try await f.file("almost", size: 16, on: all, n: 3)
            try await f.file("rich", size: 32, on: all, n: 2)
            func group(_ holders: [ServerName], _ surplus: Int, _ bytes: Int64) -> FailureBudget.Group {
                .init(counted: Set(holders), readable: Set(holders), surplus: surplus, files: 1, bytes: bytes)
            }
            let few = [group([f.alpha], 0, 1), group([f.alpha, f.bravo], 1, 2)]
            try expectEqual(
                Set(try await f.store.fragileFiles(view: f.view, limit: 10)),
                Set(few + [group(all, -1, 8), group(all, 0, 16)]))
            try expectEqual(
                Set(try await f.store.fragileFiles(view: f.view, limit: 1)), Set(few + [group(all, -1, 8)]))
        },
        MetadataConformance("a sample of all files is all that can be read") { f in
            let one = try await f.file("one", size: 1, on: [f.alpha, f.delta], n: 3)
            try await f.file("away", size: 4, on: [f.delta], n: 1)
            let removed = try await f.file("removed", size: 32, on: [f.alpha], n: 1)
            try expectEqual(try await f.remove([removed]), [nil])
            try await f.directory("directory")
            try expectEqual(
                try await f.store.sampleFiles(nil),
                [SampledFile(id: one.id, parent: .root, size: 1, n: 3, replicas: [f.alpha, f.delta])])
            try expect(try await f.store.sampleFiles(3).allSatisfy { $0.id == one.id }, "only that one can be drawn")
        },
        MetadataConformance("growth: one sample an hour, the last ones") { f in
            func sample(_ hour: Int64, _ files: Int64) -> Growth.Sample {
                Growth.Sample(
                    at: Timestamp(seconds: 1_800_000_000 + hour * 3600, nanoseconds: 0), files: files, bytes: files * 2,
                    wanted: files * 3)
            }
            try expectEqual(try await f.store.growth(), [])
            try await f.store.noteGrowth(sample(0, 1))
            try await f.store.noteGrowth(sample(0, 2))
            try expectEqual(try await f.store.growth(), [sample(0, 1)])
            for hour in 1...Int64(f.store.growthMemory) { try await f.store.noteGrowth(sample(hour, hour)) }
            try expectEqual(
                try await f.store.growth(), (1...Int64(f.store.growthMemory)).map { sample($0, $0) })
        },
    ]
}
