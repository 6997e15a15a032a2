import BrimModel

/// What clients know of the files they wrote, to be compared with what the swarm says.
///
/// Only one client at a time changes a path, so that after its answer just one content is right. A client that goes away
/// without an answer leaves a content that may still be entered, once, at any time.
struct Expectations {
    struct File {
        /// What the file may hold; nil: no file.
        var possible: Set<Content?> = [nil]
        /// Contents whose writers went away.
        var ghosts: Set<Content> = []
        /// What an operation under way may make of it.
        var coming: Set<Content?> = []
        /// All that it ever held, may have held, or could be brought back as.
        var history: Set<Content> = []
        var isBusy = false

        func allows(_ content: Content?) -> Bool {
            possible.contains(content) || coming.contains(content) || content.map(ghosts.contains) ?? false
        }
    }

    private(set) var files: [BrimPath: File] = [:]

    var isBusy: Bool { files.values.contains { $0.isBusy } }

    /// Paths that no operation is under way for, in order.
    func idle(among paths: [BrimPath]) -> [BrimPath] { paths.filter { files[$0]?.isBusy != true } }

    /// An operation begins that may make the file hold one of these.
    mutating func begin(_ path: BrimPath, coming: Set<Content?>) {
        files[path, default: File()].isBusy = true
        files[path]?.coming = coming
        remember(path, coming)
    }

    private mutating func remember(_ path: BrimPath, _ contents: Set<Content?>) {
        files[path, default: File()].history.formUnion(contents.compactMap(\.self))
    }

    /// Old versions come along with a file that moves, or is brought back under another name.
    mutating func inherit(_ path: BrimPath, from other: BrimPath) { remember(path, Set(history(other).map(\.self))) }

    func history(_ path: BrimPath) -> Set<Content> { files[path]?.history ?? [] }

    /// It has ended, and the file now holds one of these.
    mutating func end(_ path: BrimPath, _ possible: Set<Content?>) {
        files[path]?.possible = possible
        files[path]?.coming = []
        files[path]?.isBusy = false
        remember(path, possible)
    }

    /// It has ended and did nothing.
    mutating func end(_ path: BrimPath) { end(path, files[path]?.possible ?? [nil]) }

    /// Its client went away: the content may yet come.
    mutating func abandon(_ path: BrimPath, _ content: Content) {
        files[path]?.ghosts.insert(content)
        end(path)
    }

    /// What nobody can change any more is known by looking.
    mutating func saw(_ content: Content?, at path: BrimPath) {
        guard let file = files[path], !file.isBusy, file.ghosts.isEmpty else { return }
        files[path]?.possible = [content]
    }

    /// All that a file may hold now.
    func contents(_ path: BrimPath) -> Set<Content?> {
        guard let file = files[path] else { return [nil] }
        return file.possible.union(file.ghosts.map(Optional.some))
    }
}
