import BrimMetadata
import BrimModel
import BrimWire
import Testing

@testable import BrimMaster

@Suite struct ReconcilerTests {
    @Test func confirmsAdoptsChecksAndDeletes() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let known = try await fixture.file("/known", on: ["alpha"])
        let orphan = try await fixture.file("/orphan", on: ["bravo"])
        let wrong = try await fixture.file("/wrong", on: ["bravo"])
        let missing = try await fixture.file("/missing", on: ["alpha"])
        let removed = try await fixture.file("/removed", on: ["bravo"])
        _ = try await fixture.namespace.remove(
            try BrimPath(parsing: "/removed"), recursive: false, now: true)
        let stranger = fixture.stranger()
        var confirmed = fixture.stranger()
        confirmed.confirmed = true

        let (reply, strange) = try await fixture.reconciler.reconcile(
            try fixture.page(
                [
                    try fixture.report(known, confirmed: false), try fixture.report(orphan),
                    try fixture.report(wrong, checksum: Checksum(crc32c: 8)), try fixture.report(removed), stranger,
                    confirmed,
                ], from: "alpha"))
        #expect(Set(reply.confirm) == [known.content?.blob, orphan.content?.blob])
        #expect(reply.delete == [removed.content?.blob].compactMap { $0 })
        // Until it says that it has: the answer may get lost.
        let alpha = try ServerName(validating: "alpha")
        #expect(try await fixture.store.pendingDeletions(on: alpha, limit: 9) == reply.delete)
        #expect(reply.check == [missing.content?.blob].compactMap { $0 })
        #expect(strange.blobs == 2 && strange.bytes == confirmed.size + (wrong.content?.size ?? 0))

        let adopted = try await fixture.store.entry(orphan.id)?.content
        #expect(adopted?.replicas.map(\.rawValue).sorted() == ["alpha", "bravo"])
        #expect(adopted?.surplus == 1)
        #expect(try await fixture.store.entry(wrong.id)?.content?.replicas.map(\.rawValue) == ["bravo"])
    }

    /// The store gives no copy up for one on a server that was not compared yet; the planner knows that.
    @Test func aSlaveThatBeganAnewIsNotReliedOnBeforeItHasReported() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        let alpha = try ServerName(validating: "alpha")
        func isReconciled() -> Bool? { fixture.ledger.decide { $0.server(alpha)?.reconciled } }
        #expect(isReconciled() == true)
        let begun = ServerUsage(boot: "next", count: 0, used: 0, diskFree: 1 << 40, files: 0)
        await fixture.roster.note(alpha, usage: begun)
        #expect(isReconciled() == false)
        #expect(fixture.ledger.decide { $0.unreconciled } == [alpha])
        await fixture.roster.setReconciled(alpha, boot: "next")
        #expect(isReconciled() == true)
    }

    @Test func keepsAndAdoptsWhatIsInTheTrash() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let removed = try await fixture.file("/removed", on: ["alpha"])
        let overwritten = try await fixture.file("/f", on: ["alpha"])
        _ = try await fixture.file("/f", on: ["alpha"])
        _ = try await fixture.namespace.remove(try BrimPath(parsing: "/removed"), recursive: false)
        let blobs = [removed, overwritten].compactMap(\.content?.blob)
        let bravo = try ServerName(validating: "bravo")
        // Pending on the one, forgotten on the other.
        let known = try await fixture.reconciler.settle(
            try fixture.pending([removed, overwritten].map { try fixture.report($0, confirmed: false) }, on: "alpha"))
        #expect(Set(known.confirm) == Set(blobs) && known.delete == [])
        let (reply, strange) = try await fixture.reconciler.reconcile(
            try fixture.page(try [removed, overwritten].map { try fixture.report($0) }, from: "bravo"))
        #expect(Set(reply.confirm) == Set(blobs) && reply.delete == [] && reply.check == [])
        #expect(strange.blobs == 0)
        let owners = try await fixture.store.owners(of: blobs)
        #expect(blobs.map { owners[$0]?.kind } == [.trash, .old])
        #expect(owners.values.allSatisfy { $0.content.replicas.contains(bravo) })
        // The last copies are lost, and with them what was kept.
        for server in ["alpha", "bravo"] {
            try await fixture.losses.strike(blobs, on: try ServerName(validating: server))
        }
        #expect(try await fixture.store.owners(of: blobs) == [:])
        #expect(try await fixture.store.tombstoned(blobs) == Set(blobs))
    }

    /// A damaged copy was given up, and a crash came before its deletion: at the next start it is found and is pending.
    @Test func whatIsLeftOfADamagedCopyGoesWhileOthersAreWhole() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let file = try await fixture.file("/f", on: ["bravo"])
        let blob = try #require(file.content?.blob)
        let left = try fixture.report(file, checksum: Checksum(crc32c: 8), confirmed: false)
        let reply = try await fixture.reconciler.settle(try fixture.pending([left], on: "alpha"))
        #expect(reply.delete == [blob] && reply.confirm == [])
        #expect(try await fixture.store.entry(file.id)?.content?.replicas.map(\.rawValue) == ["bravo"])
        // It may be all that there is: it is kept for a person to look at.
        try await fixture.losses.strike([blob], on: try ServerName(validating: "bravo"))
        let kept = try await fixture.reconciler.settle(try fixture.pending([left], on: "alpha"))
        #expect(kept.delete == [] && kept.confirm == [])
    }

    @Test func neverCommitsWhatItSettledAsUnknown() async throws {
        let fixture = try await Fixture(servers: ["alpha"])
        let stranger = fixture.stranger()
        let alpha = try ServerName(validating: "alpha")
        let reply = try await fixture.reconciler.settle(try fixture.pending([stranger], on: "alpha"))
        #expect(reply.delete == [stranger.blob])
        let late = BlobCommit(
            request: "late", place: EntryPlace(parent: .root, name: try EntryName("late")), blob: stranger.blob,
            size: 1,
            checksum: stranger.checksum, replicas: [alpha], mode: 0o644, modified: .now, explicitN: nil,
            policy: .standard(1))
        let outcome = try await fixture.store.commit([late], view: try await fixture.views.current()).first
        #expect(throws: BrimError.self) { try outcome?.get() }
    }

    @Test func takesLostCopiesOffTheirFiles() async throws {
        let fixture = try await Fixture(servers: ["alpha", "bravo"])
        let file = try await fixture.file("/f", on: ["alpha", "bravo"], n: 2)
        let blobs = [file.content?.blob].compactMap { $0 }
        try await fixture.losses.strike(blobs, on: try ServerName(validating: "bravo"))
        let content = try await fixture.store.entry(file.id)?.content
        #expect(content?.replicas.map(\.rawValue) == ["alpha"])
        #expect(content?.surplus == -1)
    }
}
