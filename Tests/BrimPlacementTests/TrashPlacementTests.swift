import BrimModel
import Testing

@testable import BrimPlacement

/// Removed files and old versions give way before anything else, to their last copy.
@Suite struct TrashPlacementTests {
    /// Of a file removed so many minutes after the beginning of 2026, with `k` copies.
    private func trash(_ id: Int64, size: Int64 = 1, minute: Int64, on holders: String...) -> Victim {
        let n = Trash.n(at: Timestamp(seconds: 1_767_225_600 + minute * 60, nanoseconds: 0))
        return Victim(
            file: FileID(id), blob: blob(id), size: size, surplus: holders.count - n, replicas: holders.map(name))
    }

    @Test func nIsFixedByTheMinuteAndFarBelowZero() {
        #expect(Trash.n(at: Timestamp(seconds: 1_767_225_600 + 119, nanoseconds: 0)) == -1_999_999_999)
        // Clocks that are wrong, and centuries to come.
        for seconds: Int64 in [.min, 0, 4_000_000_000, .max] {
            let n = Trash.n(at: Timestamp(seconds: seconds, nanoseconds: 0))
            #expect(Trash.isTrash(surplus: -n) && Trash.isTrash(surplus: Limits.maxCopies - n))
        }
        #expect(!Trash.isTrash(surplus: Limits.maxCopies))
    }

    @Test func theOldestGoesFirstThenSpares() {
        for floor in [0, 5, -1000, Int.min / 2] {
            let planner = makePlanner(floor: floor, server("a", quota: 10, used: 10), server("b", quota: 10, used: 10))
            let lists = [
                trash(1, minute: 7, on: "b"), trash(2, minute: 5, on: "b"), victim(3, surplus: 9, on: "a", "b"),
            ]
            func victims(_ size: Int64) -> [Int64]? {
                planner.makeRoom(for: needy(9, size: size, surplus: 0, on: "a"), on: [name("b")]) { _ in lists }?
                    .victims.map(\.file.rawValue)
            }
            #expect(victims(1) == [2])
            #expect(victims(2) == [2, 1])
            #expect(victims(3) == [2, 1, 3])
            #expect(victims(4) == nil)
        }
    }

    @Test func theLastCopyOfTrashMayGoAndOfAFileNot() {
        let planner = makePlanner(server("a"), server("b", quota: 10, brim: 8, used: 10))
        func restore(_ victim: Victim) -> [Int64]? {
            planner.restoreHeadroom(on: name("b"), richest: [victim])?.victims.map(\.file.rawValue)
        }
        #expect(restore(trash(1, size: 2, minute: 1, on: "b")) == [1])
        #expect(restore(victim(1, size: 2, surplus: 5, on: "b")) == nil)
    }

    @Test func aWriteTakesTheRoomOfTrashEvenFromAFullSwarm() {
        let planner = makePlanner(server("a", quota: 10, used: 10), server("b", quota: 10, used: 10))
        let lists = [
            name("a"): [trash(1, size: 5, minute: 1, on: "a")],
            name("b"): [victim(2, size: 5, surplus: 3, on: "a", "b")],
        ]
        let placed = planner.roomForWrite(size: 5, copies: 1, n: 1) { lists[$0] ?? [] }
        #expect(placed.names == ["a"])
        #expect(placed.targets?.first?.victims.map(\.file.rawValue) == [1])
    }
}
