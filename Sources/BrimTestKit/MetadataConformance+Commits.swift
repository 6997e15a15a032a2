import BrimMetadata
import BrimModel

extension MetadataConformance {
    static let commits: [MetadataConformance] = [
        MetadataConformance("commit a new file") { f in
            let write = try f.write("f", size: 42, on: [f.alpha, f.delta, f.alpha], attributes: ["a": .int(1)])
            let outcome = try await f.commit(write)[0]
            try expect(outcome.created, "a new file is created")
            try expectEqual(
                outcome.entry.content,
                FileContent(
                    version: 1, blob: write.blob, size: 42, checksum: write.checksum, n: 3, k: 1, readable: true,
                    replicas: [f.alpha, f.delta]))
            try expectEqual(outcome.entry.attributes, ["a": .int(1)])
            try expectEqual(outcome.entry.rev, 1)
            try expectEqual(outcome.entry.mode, 0o644)
            try expectEqual(outcome.entry.modified, ConformanceFixture.time)
            try expectEqual(try await f.current(outcome.entry), outcome.entry)
            try expectEqual(try await f.store.files(withBlobs: [write.blob]), [write.blob: outcome.entry])
        },
        MetadataConformance("overwrite keeps id, attributes, n and the former version; raises version and rev") { f in
            let first = try await f.commit(f.write("f", n: 5, attributes: ["a": .int(1), "b": .int(1)]))[0].entry
            let write = try f.write("f", size: 0, on: [f.charlie], attributes: ["b": .int(2)])
            let second = try await f.commit(write)[0]
            try expect(!second.created, "an overwrite creates nothing")
            try expectEqual(second.entry.id, first.id)
            try expectEqual(second.entry.created, first.created)
            try expectEqual(second.entry.rev, 2)
            try expectEqual(second.entry.attributes, ["a": .int(1), "b": .int(2)])
            try expectEqual(
                second.entry.content,
                FileContent(
                    version: 2, blob: write.blob, size: 0, checksum: write.checksum, n: 5, k: 1, readable: true,
                    replicas: [f.charlie], policy: PolicyName.explicit))
            try expectEqual(try await f.current(first), second.entry)
            let former = try f.change(first, f.alpha).blob
            try expectEqual(try await f.owner(former)?.kind, .former)
            try expectEqual(try await f.store.pendingDeletions(on: f.alpha, limit: 9), [])
            try expectEqual(try await f.commit(f.write("f", n: 1))[0].entry.content?.n, 1)
        },
        MetadataConformance("asked again, a commit has no second effect") { f in
            let write = try f.write("f")
            let first = try await f.commit(write)[0]
            let again = try await f.commit(write, write)
            try expectEqual(again.map(\.entry), [first.entry, first.entry])
            try expectEqual(again.map(\.created), [true, true])
            let moved = try await f.rename(first.entry, to: "g")
            try expectEqual(try await f.commit(write)[0].entry, moved)
            try expectEqual(try await f.names(), ["g"])
            // What has been overwritten or removed does not come back.
            _ = try await f.commit(f.write("g"))
            try await expectError(.conflict) { _ = try await f.commit(write) }
            let other = try f.write("h")
            try expectEqual(try await f.remove([f.commit(other)[0].entry]), [nil])
            try await expectError(.conflict) { _ = try await f.commit(other) }
            try expectEqual(try await f.names(), ["g"])
        },
        MetadataConformance("preconditions") { f in
            func codes(_ write: BlobCommit) async throws -> BrimError.Code? {
                switch try await f.store.commit([write], view: f.view)[0] {
                case .success: nil
                case .failure(let error): error.code
                }
            }
            try expectEqual(try await codes(f.write("f", precondition: .present)), .precondition)
            try expectEqual(try await codes(f.write("f", precondition: .version(1))), .precondition)
            try expectEqual(try await f.names(), [])
            try expectEqual(try await codes(f.write("f", precondition: .absent)), nil)
            try expectEqual(try await codes(f.write("f", precondition: .absent)), .precondition)
            try expectEqual(try await codes(f.write("f", precondition: .version(2))), .precondition)
            try expectEqual(try await codes(f.write("f", precondition: .version(1))), nil)
            try expectEqual(try await codes(f.write("f", precondition: .present)), nil)
            try expectEqual(try await f.store.entry(at: f.place("f"))?.content?.version, 3)
        },
        MetadataConformance("commit where no file can be") { f in
            let directory = try await f.directory("d")
            _ = try await f.symlink("l", to: "x")
            let gone = try await f.directory("gone")
            _ = try await f.remove([gone])
            let file = try await f.file("file")
            let writes = [
                try f.write("d"), try f.write("l"), try f.write("x", in: gone.id), try f.write("x", in: file.id),
                try f.write("good", in: directory.id), try f.write("none", on: []), try f.write("big", size: .max),
                try f.write("bad", n: 0),
            ]
            let codes = try await f.store.commit(writes, view: f.view).map { outcome -> BrimError.Code? in
                if case .failure(let error) = outcome { error.code } else { nil }
            }
            try expectEqual(
                codes,
                [.isDirectory, .isDirectory, .notFound, .notDirectory, nil, .invalid, .tooLarge, .invalid])
            try expectEqual(try await f.names(in: directory.id), ["good"])
            try expectEqual(try await f.names(), ["d", "file", "l"])
            try expectEqual(try await f.store.commit([], view: f.view).count, 0)
        },
        MetadataConformance("two entries for one path in one batch: the later overwrites") { f in
            let writes = try (1...3).map { try f.write("f", size: $0) } + [f.write("g")]
            let outcomes = try await f.store.commit(writes, view: f.view).map { try $0.get() }
            try expectEqual(outcomes.map(\.created), [true, false, false, true])
            try expectEqual(outcomes.prefix(3).map { $0.entry.content?.version }, [1, 2, 3])
            let file = try await f.current(outcomes[0].entry)
            try expectEqual(file.content?.size, 3)
            let former = try await f.store.formerVersions(of: file.id, before: nil, limit: 9)
            try expectEqual(former.map(\.content.blob), [writes[1].blob, writes[0].blob])
        },
        MetadataConformance("a blob belongs to one file") { f in
            let first = try f.write("f")
            _ = try await f.commit(first)
            var second = try f.write("g")
            second.blob = first.blob
            try await expectError(.conflict) { _ = try await f.commit(second) }
            var together = [try f.write("x"), try f.write("y")]
            together[1].blob = together[0].blob
            let outcomes = try await f.store.commit(together, view: f.view)
            try expect((try? outcomes[0].get()) != nil && (try? outcomes[1].get()) == nil, "only the first is entered")
        },
        MetadataConformance("many writers of one new path: one creates, the others overwrite") { f in
            let writes = try (0..<8).map { _ in try f.write("f") }
            let outcomes = try await withThrowingTaskGroup(of: CommitOutcome.self) { [f] group in
                for write in writes { group.addTask { try await f.commit(write)[0] } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            try expectEqual(outcomes.count { $0.created }, 1, "creators")
            try expectEqual(Set(outcomes.compactMap { $0.entry.content?.version }), Set(1...8))
            let owners = try await f.store.owners(of: writes.map(\.blob))
            try expectEqual(owners.values.count { $0.kind == .former }, 7)
            try expectEqual(owners.values.count { $0.kind == .live }, 1)
        },
        MetadataConformance("a large batch, with one that fails") { f in
            var writes = try (0..<300).map { try f.write("f\($0)") }
            writes[150].replicas = []
            let outcomes = try await f.store.commit(writes, view: f.view)
            let failed = outcomes.indices.filter { (try? outcomes[$0].get()) == nil }
            try expectEqual(failed, [150])
            try expectEqual(try await f.names().count, 299)
        },
    ]
}
