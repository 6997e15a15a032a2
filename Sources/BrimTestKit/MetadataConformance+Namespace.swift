import BrimMetadata
import BrimModel

extension MetadataConformance {
    static let namespace: [MetadataConformance] = [
        MetadataConformance("prepare again: same swarm, other password refused") { f in
            let swarm = try await f.store.prepare(passwordProof: "proof")
            try expectEqual(try await f.store.prepare(passwordProof: "proof"), swarm)
            try await expectError(.denied) { _ = try await f.store.prepare(passwordProof: "other") }
            let root = try await f.store.entry(.root)
            try expectEqual(root?.type, .directory)
            try expectEqual(root?.parent, nil)
            try expectEqual(root?.name, nil)
        },
        MetadataConformance("create and read back") { f in
            let made = try await f.directory("music")
            try expectEqual(made.rev, 1, "rev")
            try expectEqual(made.mode, 0o755)
            try expectEqual(made.modified, ConformanceFixture.time)
            try expectEqual(try await f.store.entry(made.id), made)
            try expectEqual(try await f.store.entry(at: f.place("music")), made)
            let link = try await f.symlink("link", to: "../elsewhere/$x")
            try expectEqual(link.target, "../elsewhere/$x")
            try expectEqual(try await f.current(link), link)
            try await expectError(.exists) { _ = try await f.directory("music") }
            try await expectError(.exists) { _ = try await f.symlink("music", to: "x") }
            try expectEqual(try await f.store.entry(at: f.place("none")), nil)
            try expectEqual(try await f.store.entry(FileID(999_999)), nil)
        },
        MetadataConformance("create under what is no directory") { f in
            try await expectError(.notFound) { _ = try await f.directory("x", in: FileID(999_999)) }
            let gone = try await f.directory("gone")
            try expectEqual(try await f.remove([gone]), [nil])
            try await expectError(.notFound) { _ = try await f.directory("x", in: gone.id) }
            let file = try await f.file("file")
            try await expectError(.notDirectory) { _ = try await f.directory("x", in: file.id) }
            try await expectError(.invalid) { _ = try await f.symlink("empty", to: "") }
            try await expectError(.tooLarge) {
                _ = try await f.symlink("long", to: String(repeating: "x", count: Limits.symlinkBytes + 1))
            }
        },
        MetadataConformance("names are bytes: two spellings of é are two files") { f in
            let composed = try await f.file("caf\u{e9}")
            let decomposed = try await f.file("cafe\u{301}")
            try expect(composed.id != decomposed.id, "two spellings are two files")
            let found = try await f.store.resolve(BrimPath([EntryName("cafe\u{301}")]))
            try expectEqual(found.last?.id, decomposed.id)
            try expectEqual(
                try await f.names().map { Array($0.utf8) }, [Array("cafe\u{301}".utf8), Array("café".utf8)])
        },
        MetadataConformance("names of 255 bytes, and names that look like operators") { f in
            let names = [
                String(repeating: "x", count: 255), String(repeating: "\u{10400}", count: 63) + "abc", "$set", "a.b",
                "-1", " ", "\n", "\u{202e}",
            ]
            for name in names { try await f.file(name) }
            let sorted = names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            try expectEqual(try await f.names(), sorted)
        },
        MetadataConformance("lists in the order of bytes, page by page") { f in
            let names = ["b", "a", "Z", "ä", "10", "9", "\u{ffff}", "\u{10000}", "_", "aa"]
            for name in names { try await f.file(name) }
            var seen: [String] = []
            var after: EntryName?
            while true {
                let page = try await f.store.list(.root, after: after, limit: 3)
                try expect(page.count <= 3, "a page of 3 has \(page.count)")
                guard let last = page.last?.name else { break }
                seen += page.compactMap { $0.name?.text }
                after = last
            }
            try expectEqual(seen, names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
            try expectEqual(try await f.store.list(.root, after: nil, limit: 0), [])
            try expectEqual(try await f.store.list(FileID(999_999), after: nil, limit: 10), [])
        },
        MetadataConformance("resolve stops at the first name that is missing") { f in
            let a = try await f.directory("a")
            let b = try await f.directory("b", in: a.id)
            let c = try await f.file("c", in: b.id)
            func ids(_ path: String) async throws -> [FileID] {
                try await f.store.resolve(BrimPath(parsing: path)).map(\.id)
            }
            try expectEqual(try await ids("/"), [.root])
            try expectEqual(try await ids("/a/b/c"), [.root, a.id, b.id, c.id])
            try expectEqual(try await ids("/a/x/c"), [.root, a.id])
            try expectEqual(try await ids("/a/b/c/d"), [.root, a.id, b.id, c.id])
        },
        MetadataConformance("resolve shows directories as they are now, however often they were seen elsewhere") { f in
            func ids(_ path: String) async throws -> [FileID] {
                try await f.store.resolve(BrimPath(parsing: path)).map(\.id)
            }
            let a = try await f.directory("a")
            let b = try await f.directory("b", in: a.id)
            let c = try await f.file("c", in: b.id)
            try expectEqual(try await ids("/a/b/c"), [.root, a.id, b.id, c.id])
            try expectEqual(try await ids("/a/b/c"), [.root, a.id, b.id, c.id])
            _ = try await f.rename(b, to: "z")
            try expectEqual(try await ids("/a/b/c"), [.root, a.id])
            try expectEqual(try await ids("/z/c"), [.root, b.id, c.id])
            let again = try await f.directory("b", in: a.id)
            let inner = try await f.file("c", in: again.id)
            try expectEqual(try await ids("/a/b/c"), [.root, a.id, again.id, inner.id])
            try expectEqual(try await ids("/a/b/x"), [.root, a.id, again.id])
        },
        MetadataConformance("entries of some names of a directory") { f in
            let a = try await f.directory("a")
            let b = try await f.file("b", in: a.id)
            let names = try ["b", "c", "b"].map { try EntryName($0) }
            try expectEqual(try await f.store.entries(in: a.id, names: names).mapValues(\.id), [names[0]: b.id])
            try expectEqual(try await f.store.entries(in: .root, names: names).count, 0)
            try expectEqual(try await f.store.entries(in: a.id, names: []).count, 0)
        },
        MetadataConformance("remove") { f in
            let directory = try await f.directory("d")
            let file = try await f.file("f", in: directory.id)
            let link = try await f.symlink("l", to: "f")
            func codes(_ entries: [Entry]) async throws -> [BrimError.Code?] {
                try await f.remove(entries).map { $0?.code }
            }
            let root = try await f.current(directory)
            try expectEqual(try await codes([root]), [.notEmpty])
            try expectEqual(try await codes([f.store.resolve(.root)[0]]), [.invalid])
            var stale = file
            stale.rev += 1
            try expectEqual(try await codes([stale, link]), [.conflict, nil])
            try expectEqual(try await codes([link]), [.notFound])
            // Each sees what those before it did.
            try expectEqual(
                try await codes([directory, file, directory, file]), [.notEmpty, nil, nil, .notFound])
            try expectEqual(try await f.names(), [])
            try expectEqual(try await codes([]), [])
        },
        MetadataConformance("making and removing entries does not change their directory's rev") { f in
            let directory = try await f.directory("d")
            let file = try await f.file("f", in: directory.id)
            try expectEqual(try await f.remove([file, directory]).map { $0?.code }, [nil, nil])
        },
        MetadataConformance("update: n, attributes, mode, time; rev rises") { f in
            let file = try await f.file("f", n: 2)
            var changed = try await f.store.update(
                file.id, EntryChange(n: 5, attributes: ["popularity": .int(9), "$odd.name": .string("$x")]),
                view: f.view)
            try expectEqual(changed.content?.n, 5)
            try expectEqual(changed.content?.surplus, -3)
            try expectEqual(changed.rev, 2)
            try expectEqual(changed.attributes, ["popularity": .int(9), "$odd.name": .string("$x")])
            let time = Timestamp(seconds: -5, nanoseconds: 1)
            changed = try await f.store.update(
                file.id,
                EntryChange(
                    attributes: ["popularity": AttributeValue?.none, "b": .bool(true), "d": .double(0.5)], mode: 0o600,
                    modified: time), view: f.view)
            try expectEqual(changed.attributes, ["$odd.name": .string("$x"), "b": .bool(true), "d": .double(0.5)])
            try expectEqual(changed.modified, time)
            try expectEqual(changed.mode, 0o600)
            try expectEqual(changed.content?.n, 5)
            try expectEqual(try await f.current(file), changed)
        },
        MetadataConformance("update refuses what cannot be") { f in
            let file = try await f.file("f")
            let directory = try await f.directory("d")
            func refused(_ code: BrimError.Code, _ entry: FileID, _ change: EntryChange) async throws {
                try await expectError(code) { _ = try await f.store.update(entry, change, view: f.view) }
            }
            try await refused(.invalid, directory.id, EntryChange(n: 0))
            try await refused(.invalid, file.id, EntryChange(n: 0))
            try await refused(.invalid, file.id, EntryChange(n: Limits.maxCopies + 1))
            try await refused(.invalid, file.id, EntryChange(mode: 0o10000))
            try await refused(.notFound, FileID(999_999), EntryChange(mode: 0o600))
            try await refused(
                .tooLarge, file.id, EntryChange(attributes: ["x": .string(String(repeating: "x", count: 1025))]))
            let many = (0...Limits.attributeCount).map { ("a\($0)", AttributeValue?.some(.int(1))) }
            try await refused(.tooLarge, file.id, EntryChange(attributes: Dictionary(uniqueKeysWithValues: many)))
            try expectEqual(try await f.current(file), file)
        },
        MetadataConformance("summarize") { f in
            let a = try await f.directory("a")
            let b = try await f.directory("b", in: a.id)
            try await f.file("f1", in: a.id, size: 5, on: [f.alpha, f.bravo])
            try await f.file("f2", in: b.id, size: 7, on: [f.alpha, f.delta])
            try await f.file("f3", size: 100)
            var sum = try await f.store.summarize([a.id])
            try expectEqual(sum.subdirectories, [b.id])
            try expectEqual([sum.files, sum.bytes, sum.storedBytes], [1, 5, 10])
            sum = try await f.store.summarize([a.id, b.id])
            try expectEqual([sum.files, sum.bytes, sum.storedBytes], [2, 12, 17])
            try expectEqual(try await f.store.summarize([]), DirectorySummary())
        },
    ]

    static let renames: [MetadataConformance] = [
        MetadataConformance("rename a file: same id, content and attributes, rev rises") { f in
            let file = try await f.file("f")
            let directory = try await f.directory("d")
            let moved = try await f.rename(file, to: "g", in: directory.id)
            try expectEqual(moved.id, file.id)
            try expectEqual(moved.rev, file.rev + 1)
            try expectEqual(moved.content, file.content)
            try expectEqual(moved.modified, file.modified)
            try expectEqual(try await f.names(), ["d"])
            try expectEqual(try await f.names(in: directory.id), ["g"])
            try await expectError(.notFound) { _ = try await f.rename(file, to: "h") }
            try expectEqual(try await f.rename(moved, to: "g", in: directory.id), moved)
        },
        MetadataConformance("rename onto files and links") { f in
            let file = try await f.file("f")
            let target = try await f.file("g")
            try await expectError(.exists) { _ = try await f.rename(file, to: "g") }
            let moved = try await f.rename(file, to: "g", replace: true)
            try expectEqual(try await f.store.entry(target.id), nil)
            let former = try f.change(target, f.alpha).blob
            try expectEqual(try await f.owner(former)?.kind, .trash)
            let removed = try await f.store.removedFiles(.at("/g"), after: nil, limit: 9)
            try expectEqual(removed.map(\.entry.id), [target.id])
            _ = try await f.symlink("l", to: "x")
            _ = try await f.rename(moved, to: "l", replace: true)
            try expectEqual(try await f.names(), ["l"])
        },
        MetadataConformance("rename onto and of directories") { f in
            let file = try await f.file("f")
            let empty = try await f.directory("empty")
            let full = try await f.directory("full")
            let inner = try await f.file("inner", in: full.id)
            try await expectError(.isDirectory) { _ = try await f.rename(file, to: "empty", replace: true) }
            try await expectError(.notDirectory) { _ = try await f.rename(full, to: "f", replace: true) }
            try await expectError(.notEmpty) { _ = try await f.rename(empty, to: "full", replace: true) }
            try await expectError(.exists) { _ = try await f.rename(full, to: "empty") }
            let moved = try await f.rename(full, to: "empty", replace: true)
            try expectEqual(moved.id, full.id)
            try expectEqual(try await f.store.entry(empty.id), nil)
            let path = try BrimPath(parsing: "/empty/inner")
            try expectEqual(try await f.store.resolve(path).last?.id, inner.id)
        },
        MetadataConformance("rename below itself, under what is gone, and of the root") { f in
            let a = try await f.directory("a")
            let b = try await f.directory("b", in: a.id)
            let c = try await f.directory("c", in: b.id)
            try await expectError(.invalid) { _ = try await f.rename(a, to: "x", in: a.id) }
            try await expectError(.invalid) { _ = try await f.rename(a, to: "x", in: c.id) }
            try await expectError(.notEmpty) { _ = try await f.rename(c, to: "a", replace: true) }
            try await expectError(.notFound) { _ = try await f.rename(a, to: "x", in: FileID(999_999)) }
            let file = try await f.file("file")
            try await expectError(.notDirectory) { _ = try await f.rename(a, to: "x", in: file.id) }
            try await expectError(.invalid) {
                _ = try await f.store.rename(
                    .root, from: f.place("a"), to: f.place("z"), path: "/z", replace: false, view: f.view)
            }
            try expectEqual(try await f.rename(c, to: "c").parent, .root)
        },
        MetadataConformance("moves that cross never make a circle or lose a name") { f in
            for round in 0..<6 {
                let a = try await f.directory("a\(round)")
                let b = try await f.directory("b\(round)")
                async let first: Void = discardingConflicts([.invalid, .notFound]) { [f] in
                    _ = try await f.rename(a, to: "inside", in: b.id)
                }
                async let second: Void = discardingConflicts([.invalid, .notFound]) { [f] in
                    _ = try await f.rename(b, to: "inside", in: a.id)
                }
                _ = try await (first, second)
            }
            try expectEqual(try await f.tree().count, 12, "entries that the root leads to")
        },
        MetadataConformance("rmdir against create leaves no orphan") { f in
            for round in 0..<6 {
                let directory = try await f.directory("d\(round)")
                async let removed = f.remove([directory])
                async let made: Void = discardingConflicts([.notFound]) { [f] in
                    _ = try await f.directory("inside", in: directory.id)
                }
                let outcome = try await removed[0]
                try await made
                let exists = try await f.store.entry(directory.id) != nil
                try expectEqual(exists, outcome != nil, "the directory is there")
                try expectEqual(try await f.names(in: directory.id), exists ? ["inside"] : [])
            }
        },
    ]
}

/// Runs `body`; errors of these codes are what may happen to one of two that compete.
func discardingConflicts(_ codes: [BrimError.Code], _ body: @Sendable () async throws -> Void) async throws {
    do {
        try await body()
    } catch let error as BrimError where codes.contains(error.code) {}
}
