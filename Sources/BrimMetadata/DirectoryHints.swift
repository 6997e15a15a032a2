import BrimModel
import Synchronization

/// Where directories were when they were last seen: tells what to ask for, never what to answer. Bounded: when the younger
/// half is full, the older half is forgotten.
final class DirectoryHints: Sendable {
    private struct State {
        var young: [EntryPlace: FileID] = [:]
        var old: [EntryPlace: FileID] = [:]
    }
    /// Directories known at most.
    private static let limit = 8192
    private let state = Mutex(State())

    func note(_ entry: Entry) {
        guard entry.type == .directory, let place = entry.place else { return }
        state.withLock { state in
            guard state.young[place] != entry.id else { return }
            if state.young.count >= Self.limit / 2 {
                state.old = state.young
                state.young = [:]
            }
            state.young[place] = entry.id
        }
    }

    /// The places along a path that follow the entries found so far: the next, and those below it as far as it is known
    /// where they may be.
    func places(along path: BrimPath, after found: [Entry]) -> [EntryPlace] {
        var places: [EntryPlace] = []
        var parent = found.last?.id ?? .root
        for name in path.components.dropFirst(max(0, found.count - 1)) {
            let place = EntryPlace(parent: parent, name: name)
            places.append(place)
            guard let next = state.withLock({ $0.young[place] ?? $0.old[place] }) else { break }
            parent = next
        }
        return places
    }
}

extension Entry {
    /// nil for what has no name.
    var place: EntryPlace? {
        guard let parent, let name else { return nil }
        return EntryPlace(parent: parent, name: name)
    }
}

extension BrimPath {
    /// The place of the component that follows the entries found so far, the root first; nil at the end.
    func place(after found: [Entry]) -> EntryPlace? {
        guard let parent = found.last?.id, found.count <= components.count else { return nil }
        return EntryPlace(parent: parent, name: components[found.count - 1])
    }
}
