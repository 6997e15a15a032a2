import ArgumentParser
import BrimModel

/// A path in the swarm as typed: with or without a leading `/`; a trailing one means "into this directory".
struct RemotePath: Sendable {
    let path: BrimPath
    let isDirectory: Bool

    /// Throws `.invalid`, which is wrong usage here.
    init(parsing text: String) throws {
        guard !text.isEmpty else { throw BrimError(.invalid, "a path is empty", advice: "Write '/' for the top") }
        path = try BrimPath(parsing: text)
        isDirectory = text.hasSuffix("/")
    }
}

/// A name of something on this machine.
struct LocalName: Sendable {
    let text: String

    var isStream: Bool { text == "-" }
    var isDirectory: Bool { text.hasSuffix("/") }

    /// The name that a copy of it gets inside a directory; nil for `.` and `/`, whose contents go there themselves.
    func entryName() throws -> EntryName? {
        guard let last = text.utf8.split(separator: UInt8(ascii: "/")).last.map({ String(Substring($0)) }) else {
            return nil
        }
        return last == "." || last == ".." ? nil : try EntryName(last)
    }
}
