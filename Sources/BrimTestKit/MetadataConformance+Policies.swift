import BrimMetadata
import BrimModel
import BrimPlacement

extension MetadataConformance {
    static let policies = [
        MetadataConformance("who chose n: the writer, then whoever set it, then policies") { f in
            func written(_ n: Int?, _ choice: PolicyChoice) async throws -> FileContent {
                var write = try f.write("f", n: n)
                write.policy = choice
                let entry = try await f.commit(write)[0].entry
                try expectEqual(try await f.current(entry).content, entry.content, "what is stored")
                return try await f.content(entry)
            }
            var content = try await written(nil, PolicyChoice(n: 4, rule: "$music"))
            try expectEqual(content.n, 4)
            try expectEqual(content.policy, "$music")
            content = try await written(nil, PolicyChoice(n: 1, rule: PolicyName.standard))
            try expectEqual(content.n, 1)
            try expectEqual(content.policy, PolicyName.standard)
            try expectEqual(content.surplus, 1)
            content = try await written(5, PolicyChoice(n: 1, rule: PolicyName.standard))
            try expectEqual(content.n, 5)
            try expectEqual(content.policy, PolicyName.explicit)
            content = try await written(nil, PolicyChoice(n: 1, rule: "music"))
            try expectEqual(content.n, 5)
            try expectEqual(content.policy, PolicyName.explicit)
            try await expectError(.invalid) { _ = try await written(nil, PolicyChoice(n: 0, rule: "music")) }
        },
        MetadataConformance("who chose n outlives the trash and other versions") { f in
            var write = try f.write("f")
            write.policy = PolicyChoice(n: 4, rule: "music")
            var entry = try await f.commit(write)[0].entry
            write = try f.write("f", size: 20)
            write.policy = PolicyChoice(n: 2, rule: "small")
            entry = try await f.commit(write)[0].entry
            _ = try await f.store.settleVersions(of: [entry.id], limit: 10, view: f.view)
            entry = try await f.store.restore(1, of: entry.id, view: f.view, request: nil)
            try expectEqual(entry.content?.policy, "small")
            try expectEqual(entry.content?.n, 2)
            try expectEqual(try await f.remove([entry]).map { $0?.code }, [nil])
            entry = try await f.store.undelete(entry.id, to: f.place("g"), view: f.view, request: nil)
            try expectEqual(entry.content?.policy, "small")
            try expectEqual(entry.content?.n, 2)
        },
        MetadataConformance("n is set, left to policies again, and for a directory") { f in
            let file = try await f.file("f")
            var changed = try await f.store.update(file.id, EntryChange(n: 5), view: f.view)
            try expectEqual(changed.content?.policy, PolicyName.explicit)
            var change = EntryChange()
            change.copies = .chosen(PolicyChoice(n: 2, rule: "$r"))
            changed = try await f.store.update(file.id, change, view: f.view)
            try expectEqual(changed.content?.policy, "$r")
            try expectEqual(changed.content?.n, 2)
            try expectEqual(changed.content?.surplus, 0)
            change.copies = CopiesChange.none
            try await expectError(.invalid) { _ = try await f.store.update(file.id, change, view: f.view) }

            let directory = try await f.directory("d")
            try expectEqual(directory.copies, nil)
            changed = try await f.store.update(directory.id, EntryChange(n: 7), view: f.view)
            try expectEqual(changed.copies, 7)
            try expectEqual(try await f.current(directory).copies, 7)
            try expectEqual(try await f.store.resolve(BrimPath(parsing: "/d")).last?.copies, 7)
            changed = try await f.store.update(directory.id, change, view: f.view)
            try expectEqual(changed.copies, nil)
            change.copies = .chosen(PolicyChoice(n: 2, rule: "r"))
            try await expectError(.isDirectory) {
                _ = try await f.store.update(directory.id, change, view: f.view)
            }
            let link = try await f.symlink("l", to: "f")
            try await expectError(.isDirectory) {
                _ = try await f.store.update(link.id, EntryChange(n: 2), view: f.view)
            }
            try await expectError(.conflict) {
                _ = try await f.store.update(file.id, EntryChange(n: 2), ifRev: 1, view: f.view)
            }
            try expectEqual(
                try await f.store.update(file.id, EntryChange(n: 3), ifRev: 3, view: f.view).content?.n, 3)
        },
        MetadataConformance("policies choose for files that are as they were read, and of which nobody has said more") {
            f in
            let (a, b) = (try await f.file("a"), try await f.file("b"))
            let explicit = try await f.file("explicit", n: 2)
            let directory = try await f.directory("d")
            let moved = try await f.store.update(b.id, EntryChange(mode: 0o600), view: f.view)
            func change(_ entry: Entry, _ n: Int, overrules: Bool = false) -> PolicyChange {
                PolicyChange(
                    file: entry.id, rev: entry.rev, choice: PolicyChoice(n: n, rule: "r"), overrules: overrules)
            }
            try expectEqual(
                try await f.store.choose(
                    [change(a, 1), change(b, 4), change(explicit, 5), change(directory, 6)], view: f.view), 1)
            try expectEqual(try await f.content(a).n, 1)
            try expectEqual(try await f.content(a).policy, "r")
            try expectEqual(try await f.content(a).surplus, 1)
            try expectEqual(try await f.current(a).rev, 2)
            try expectEqual(try await f.content(b).n, 3)
            try expectEqual(try await f.content(explicit).n, 2)
            try expectEqual(try await f.current(directory), directory)
            try expectEqual(
                try await f.store.choose([change(moved, 4), change(explicit, 5, overrules: true)], view: f.view), 2)
            try expectEqual(try await f.content(b).n, 4)
            try expectEqual(try await f.content(explicit).policy, "r")
            try expectEqual(try await f.store.choose([], view: f.view), 0)
            let found = try await f.store.entries([a.id, directory.id, FileID(999_999)])
            try expectEqual(found, [a.id: try await f.current(a), directory.id: directory])
        },
        MetadataConformance("rules are replaced by who knows them") { f in
            try expectEqual(try await f.store.rules(), StoredRules())
            try await expectError(.precondition) { _ = try await f.store.setRules("x", ifRevision: 1) }
            var rules = try await f.store.setRules("rules: []", ifRevision: 0)
            try expectEqual(rules.revision, 1)
            try expectEqual(rules.text, "rules: []")
            try expect(rules.changed != nil, "there is a time")
            try expectEqual(try await f.store.rules(), rules)
            try await expectError(.precondition) { _ = try await f.store.setRules("y", ifRevision: 0) }
            rules = try await f.store.setRules("", ifRevision: 1)
            try expectEqual(rules.revision, 2)
            try await expectError(.precondition) { _ = try await f.store.setRules("y", ifRevision: 1) }
            rules = try await f.store.setRules("z", ifRevision: nil)
            try expectEqual(rules.revision, 3)
            try expectEqual(try await f.store.rules(), rules)
        },
        MetadataConformance("a pass is gone on with, and another takes its place") { f in
            try expectEqual(try await f.store.policyPass(), nil)
            var pass = try await f.store.beginPolicyPass()
            try expectEqual(pass, PolicyPass(number: 1, begun: pass.begun))
            (pass.after, pass.seen, pass.changed) = (FileID(17), 12, 3)
            try expect(try await f.store.note(pass), "it is noted")
            try expectEqual(try await f.store.policyPass(), pass)
            let next = try await f.store.beginPolicyPass()
            try expectEqual(next, PolicyPass(number: 2, begun: next.begun))
            try expect(try await !f.store.note(pass), "it is none of the present one's business")
            try expectEqual(try await f.store.policyPass(), next)
            var done = next
            done.finished = Timestamp(milliseconds: 1_800_000_000_123)
            try expect(try await f.store.note(done), "it is noted")
            try expectEqual(try await f.store.policyPass(), done)
            try expectEqual(try await f.store.beginPolicyPass().finished, nil)
        },
        MetadataConformance("reads are added up, decay, and are due to be looked at") { f in
            let (a, b) = (try await f.file("a"), try await f.file("b"))
            let blobs = try (f.blobID(a), f.blobID(b))
            let start = Timestamp(milliseconds: 1_800_000_000_000)
            let day = start.adding(.seconds(86_400))
            try await f.store.addReads([blobs.0: 2, blobs.1: 0.5, f.blob(): 9], at: start, due: start)
            var reads = try await f.content(a).reads
            try expectEqual(reads, MeasuredReads(ReadRates(day: 2, week: 2, month: 2), at: start))
            try expectEqual(try await f.current(a).rev, a.rev)
            try await f.store.addReads([blobs.0: 1], at: day, due: day)
            reads = try await f.content(a).reads
            let wanted = ReadRates(day: 2, week: 2, month: 2).decayed(by: .seconds(86_400)).adding(1)
            let rates = reads?.rates ?? ReadRates()
            try expect(
                abs(rates.day - wanted.day) < 1e-9 && abs(rates.week - wanted.week) < 1e-9
                    && abs(rates.month - wanted.month) < 1e-9, "\(rates) are \(wanted)")
            try expectEqual(reads?.at, day)

            func due(_ time: Timestamp, limit: Int = 10) async throws -> [FileID] {
                try await f.store.filesWithReadsDue(by: time, limit: limit).map(\.id)
            }
            try expectEqual(try await due(start.adding(.milliseconds(-1))), [])
            try expectEqual(Set(try await due(start)), [a.id, b.id])
            try expectEqual(try await due(day, limit: 1).count, 1)
            // The one was read again after it was looked at.
            try await f.store.settleReads([
                SettledReads(file: a.id, measured: start, due: nil),
                SettledReads(file: b.id, measured: start, due: day),
            ])
            try expectEqual(try await due(start), [a.id])
            try expectEqual(Set(try await due(day)), [a.id, b.id])
            try await f.store.settleReads([SettledReads(file: a.id, measured: day, due: nil)])
            try expectEqual(try await f.content(a).reads, nil)
            try expectEqual(try await due(day), [b.id])
            // What is removed is not looked at.
            _ = try await f.remove([try await f.current(b)])
            try expectEqual(try await due(day), [])
        },
    ]
}

extension ConformanceFixture {
    fileprivate func blobID(_ entry: Entry) throws -> BlobID {
        guard let blob = entry.content?.blob else {
            throw ConformanceFailure(description: "entry \(entry.id) is not a file")
        }
        return blob
    }
}
