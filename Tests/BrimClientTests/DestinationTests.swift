import BrimModel
import Foundation
import Testing

@testable import BrimClient
@testable import brim

/// Where `put` and `get` put things.
@Suite struct DestinationTests {
    @Test(arguments: [
        ("/", "/", true), ("a", "/a", false), ("/a/b", "/a/b", false), ("a/", "/a", true), ("//a//b//", "/a/b", true),
        (" ", "/ ", false), ("/日本/🎵", "/日本/🎵", false),
    ])
    func pathsInTheSwarm(text: String, path: String, isDirectory: Bool) throws {
        let remote = try RemotePath(parsing: text)
        #expect(remote.path.description == path)
        #expect(remote.isDirectory == isDirectory)
    }

    @Test(arguments: ["", ".", "/a/../b", "a/./b", "a\0b", String(repeating: "x", count: 256)])
    func noPathsInTheSwarm(text: String) {
        let error = #expect(throws: BrimError.self) { try RemotePath(parsing: text) }
        #expect(error?.code == .invalid)
    }

    /// The name under which something goes into a directory; nil: what is in it goes there itself.
    @Test(arguments: [
        ("song.mp3", "song.mp3"), ("/home/me/Music/", "Music"), ("a//b", "b"), (".", nil), ("/", nil), ("..", nil),
        ("a/.", nil), (".hidden", ".hidden"),
    ])
    func namesOfLocalThings(text: String, name: String?) throws {
        #expect(try LocalName(text: text).entryName()?.text == name)
    }

    @Test func whatANameSays() {
        #expect(LocalName(text: "-").isStream && !LocalName(text: "./-").isStream)
        #expect(LocalName(text: "a/").isDirectory && !LocalName(text: "a").isDirectory)
    }

    @Test(arguments: [
        ("a", ".", "a"), ("a/b", "a", "b"), ("/a", "/", "a"), ("/a/b/c", "/a/b", "c"), ("a/b/", "a", "b"),
        ("./ä", ".", "ä"),
    ])
    func partsOfLocalPaths(path: String, parent: String, name: String) {
        #expect(LocalPath.parent(of: path) == parent)
        #expect(LocalPath.name(of: path) == name)
    }

    @Test func joining() {
        #expect(LocalPath.join("a", "b") == "a/b")
        #expect(LocalPath.join("/", "b") == "/b")
        #expect(LocalPath.join("a/", "b") == "a/b")
    }

    @Test func directoriesAreMadeWithTheirParents() throws {
        let directory = try TemporaryDirectory()
        let deep = directory.path + "/a/b/c"
        try LocalPath.makeDirectories(deep)
        try LocalPath.makeDirectories(deep)
        #expect(Posix.status(of: deep)?.isDirectory == true)
        let file = try directory.file("file")
        for path in [file, file + "/below"] {
            let error = #expect(throws: BrimError.self) { try LocalPath.makeDirectories(path) }
            #expect(error?.code == .notDirectory)
        }
    }
}
