import BrimMetadata
import BrimModel

extension MetadataConformance {
    static let drills: [MetadataConformance] = [
        MetadataConformance("a sample of a small namespace is all of it") { f in
            let deep = try await f.directory("deep", in: try await f.directory("top").id)
            try await f.file("file", in: deep.id)
            try await f.remove([try await f.file("removed")])
            let all = try await f.store.entries(after: nil, limit: 100)
            for chance in [0, 0.3, 0.999] {
                let sample = try await f.store.sample(at: chance, limit: 100)
                try expectEqual(sample.entries.values.sorted { $0.id < $1.id }, all, "the sample at \(chance)")
                try expectEqual(sample.range.after, FileID(0), "its beginning")
                try expect(sample.directories.isEmpty, "all directories are in it")
                try expectEqual(try await f.store.sample(sample.range), sample, "the same again")
            }
        },
        MetadataConformance("a sample is a range of numbers, with the directories above it") { f in
            let top = try await f.directory("top")
            let deep = try await f.directory("deep", in: top.id)
            for number in 0..<10 { try await f.file("file-\(number)", in: deep.id) }
            let all = try await f.store.entries(after: nil, limit: 100)
            var starts: Set<FileID> = []
            for chance in stride(from: 0, to: 1, by: 0.1) {
                let sample = try await f.store.sample(at: chance, limit: 4)
                try expectEqual(sample.entries.count, 4, "entries at \(chance)")
                let within = all.filter { sample.range.contains($0.id) }
                try expectEqual(sample.entries.values.sorted { $0.id < $1.id }, within, "the range at \(chance)")
                for entry in sample.entries.values {
                    var at = entry
                    while let parent = at.parent {
                        guard let directory = sample.entries[parent] ?? sample.directories[parent] else {
                            throw ConformanceFailure(description: "a directory above \(entry) is not told")
                        }
                        at = directory
                    }
                }
                starts.insert(sample.range.after)
            }
            try expect(starts.count > 3, "samples begin in different places")
            // What changes in the range is seen with the next reading.
            let sample = try await f.store.sample(at: 0.99, limit: 4)
            guard let last = sample.entries.values.max(by: { $0.id < $1.id }) else { return }
            try await f.remove([last])
            let again = try await f.store.sample(sample.range)
            try expectEqual(Set(again.entries.keys), Set(sample.entries.keys).subtracting([last.id]), "what is left")
        },
        MetadataConformance("the last drill is kept as it was") { f in
            try expectEqual(try await f.store.drill(), nil, "before the first")
            var report = DrillReport(
                at: ConformanceFixture.time, seconds: 1.5, entries: 1000, copies: 2999, servers: 3)
            try await f.store.keep(report)
            try expectEqual(try await f.store.drill(), report, "one that went well")
            report.silent = [f.alpha]
            report.behind = [f.bravo]
            report.changing = 2
            report.differing = 21
            report.differences = DrillReport.Kind.allCases.map { kind in
                DrillReport.Difference(
                    path: "/ä \(kind)", kind: kind, mongodb: "n 3",
                    slaves: [.init(server: f.alpha, says: "n 2"), .init(server: f.charlie, says: "no entry")])
            }
            try await f.store.keep(report)
            try expectEqual(try await f.store.drill(), report, "one that found something")
        },
    ]
}
