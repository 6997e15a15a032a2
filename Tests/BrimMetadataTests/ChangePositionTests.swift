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
    }

    @Test func whatIsSaidOfTheLastChangeDoesNotMoveAPosition() {
        let positions = ["a1", "a1.a0", "a12", "a12.a1", "a2"].map { ChangePosition(rawValue: $0) }
        #expect(positions == positions.sorted())
    }

    /// A database that was set back to an earlier state and has gone on since: its clock is beyond the position, and only the
    /// change is missing that the position names; whether or not others have been made since.
    @Test func aDatabaseThatNeverMadeTheLastChangeIsNotTheSame() async throws {
        try await TestStore.withMongo { store in
            let start = try await store.changePosition()
            for name in ["a", "b"] {
                _ = try await store.create(
                    NewEntry(
                        place: EntryPlace(parent: .root, name: EntryName(name)), type: .directory, mode: 0o755,
                        modified: .now))
            }
            let first = try await store.changes(after: start, limit: 1).position
            let last = try await store.changes(after: first, limit: 100).position
            #expect(first.namesLastChange && last.namesLastChange && !start.namesLastChange)
            // What happens elsewhere moves the position and the clock, and nothing else.
            let elsewhere = store.database.collection("elsewhere")
            var quiet = last
            repeat {
                _ = try await elsewhere.insertOne([:])
                quiet = try await store.changes(after: quiet, limit: 100).position
            } while seconds(quiet) < lastSeconds(last) + 3
            #expect(quiet > last && mark(quiet) == mark(last))
            #expect(try await store.changes(after: quiet, limit: 1).changes.isEmpty)
            let place = quiet.rawValue.prefix { $0 != "." }
            for (moved, by) in [(first, -1), (last, 1)] {
                // The same change at another second: before all there were, after all there were.
                let time = String(lastSeconds(moved) + by, radix: 16)
                let never = ChangePosition(rawValue: "\(place).\(time)\(mark(moved).dropFirst(8))")
                await #expect(throws: PositionLost.self, "\(by)") {
                    _ = try await store.changes(after: never, limit: 1)
                }
            }
            // Without what it says of the last change it is as good as any.
            #expect(try await store.changes(after: ChangePosition(rawValue: String(place)), limit: 1).changes.isEmpty)
        }
    }

    private func mark(_ position: ChangePosition) -> String {
        String(position.rawValue.drop { $0 != "." }.dropFirst())
    }

    /// Of the last change.
    private func lastSeconds(_ position: ChangePosition) -> Int { Int(mark(position).prefix(8), radix: 16) ?? 0 }

    /// Of the place: the eight digits after the epoch and the first two of MongoDB's token.
    private func seconds(_ position: ChangePosition) -> Int {
        Int(position.rawValue.dropFirst(10).prefix(8), radix: 16) ?? .max
    }
}
