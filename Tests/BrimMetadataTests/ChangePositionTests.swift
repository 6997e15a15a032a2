import BrimMetadata
import BrimModel
import BrimTestKit
import Testing

@Suite struct ChangePositionTests {
    private func following(_ text: String, _ other: String) -> String {
        ChangePosition(rawValue: text).following(ChangePosition(rawValue: other)).rawValue
    }

    @Test func theLastChangeThatIsKnownIsKept() {
        #expect(following("b", "a") == "b", "nobody knows")
        #expect(following("b.a1", "a2.a0") == "b.a1", "its own")
        #expect(following("b", "a2.a0") == "b.a0")
        #expect(following("b", "a2.") == "b.a2", "where the other was is that of a change")
        #expect(following("b.", "a2.a0") == "b.")
    }

    @Test func whatIsSaidOfTheLastChangeDoesNotMoveAPosition() {
        let positions = ["a1", "a1.", "a1.a0", "a12", "a12.a1", "a2"].map { ChangePosition(rawValue: $0) }
        #expect(positions == positions.sorted())
    }

    /// A database that was set back to an earlier state and has gone on since: its clock is beyond the position, and only the
    /// change is missing that the position names.
    @Test func aDatabaseThatNeverMadeTheLastChangeIsNotTheSame() async throws {
        try await TestStore.withMongo { store in
            let start = try await store.changePosition()
            for name in ["a", "b"] {
                _ = try await store.create(
                    NewEntry(
                        place: EntryPlace(parent: .root, name: EntryName(name)), type: .directory, mode: 0o755,
                        modified: .now))
            }
            let page = try await store.changes(after: start, limit: 1)
            let change = page.position
            #expect(change.namesLastChange && change.rawValue.hasSuffix("."))
            // What happens elsewhere moves the position, and nothing else.
            _ = try await store.database.collection("elsewhere").insertOne(["_id": 1])
            let quiet = try await store.changes(after: change, limit: 100).position
            try #require(quiet > change && quiet.namesLastChange && !quiet.rawValue.hasSuffix("."))
            #expect(try await store.changes(after: quiet, limit: 100).changes.isEmpty)
            // The eight digits after the epoch and the token's first two are seconds: the same change, a second earlier.
            let place = quiet.rawValue.prefix { $0 != "." }
            let last = Array(quiet.rawValue.dropFirst(place.count + 1))
            let seconds = try #require(UInt32(String(last[2..<10]), radix: 16))
            let earlier = String(seconds - 1, radix: 16, uppercase: true)
            #expect(earlier.count == 8)
            let never = "\(place).\(String(last[..<2]))\(earlier)\(String(last[10...]))"
            await #expect(throws: PositionLost.self) {
                _ = try await store.changes(after: ChangePosition(rawValue: never), limit: 1)
            }
            // Without what it says of the last change it is as good as any.
            #expect(try await store.changes(after: ChangePosition(rawValue: String(place)), limit: 1).changes.isEmpty)
        }
    }
}
