import BrimModel
import BrimPlacement
import Testing

@Suite struct PathGlobTests {
    @Test(
        arguments: [
            ("/music/**", ["/music/a", "/music/a/b/c"], ["/music", "/musical", "/x/music/a", "/"]),
            ("/music/", ["/music/a", "/music/a/b"], ["/music"]),
            ("*.mp3", ["/a.mp3", "/a/b/c.mp3", "/.mp3"], ["/a.mp3/b", "/a.MP3", "/amp3"]),
            ("/*.mp3", ["/a.mp3"], ["/a/b.mp3"]),
            ("/a/*/c", ["/a/b/c", "/a/xyz/c"], ["/a/c", "/a/b/b/c"]),
            ("/a/**/c", ["/a/c", "/a/b/c", "/a/b/b/c", "/a/c/c"], ["/a", "/a/b", "/b/a/c"]),
            ("/a/**/b/**/c", ["/a/b/c", "/a/x/b/y/z/c", "/a/b/b/c/c"], ["/a/c", "/a/b", "/a/x/c"]),
            ("/**", ["/a", "/a/b"], ["/"]),
            ("**", ["/a", "/a/b"], ["/"]),
            ("b/c", ["/b/c", "/a/b/c"], ["/c", "/b/c/d"]),
            ("photo?.jpg", ["/photo1.jpg", "/d/photoé.jpg"], ["/photo.jpg", "/photo12.jpg"]),
            ("[a-c]x", ["/ax", "/cx"], ["/dx", "/x", "/[a-c]x"]),
            ("[!a-c]x", ["/dx", "/éx"], ["/ax"]),
            ("[]-]x", ["/]x", "/-x"], ["/ax"]),
            ("*.{jpg,png,}", ["/a.jpg", "/a.png", "/a."], ["/a.gif"]),
            ("{a,b}/{c,d}", ["/a/c", "/b/d", "/x/a/d"], ["/a/a"]),
            ("a*b*c", ["/abc", "/aXbYc", "/abcbc"], ["/acb", "/ab"]),
        ] as [(String, [String], [String])]) func matches(_ pattern: String, _ yes: [String], _ no: [String]) throws
    {
        let glob = try PathGlob(pattern)
        #expect(glob.description == pattern)
        for path in yes { #expect(try glob.matches(BrimPath(parsing: path)), "\(pattern) does not match \(path)") }
        for path in no { #expect(try !glob.matches(BrimPath(parsing: path)), "\(pattern) matches \(path)") }
    }

    @Test(arguments: ["", "[a", "[]", "[b-a]", "{a", "a{b{c,d}}", String(repeating: "{a,b}", count: 9)])
    func isRefused(_ pattern: String) {
        #expect(throws: BrimError.self) { try PathGlob(pattern) }
    }

    /// Many stars cost no more than a step back for each: this would not end otherwise.
    @Test func doesNotExplode() throws {
        let name = String(repeating: "a", count: 255)
        #expect(try !PathGlob(String(repeating: "*a", count: 100) + "b").matches(BrimPath(parsing: name)))
        let deep = Array(repeating: "a", count: 250).joined(separator: "/")
        #expect(try !PathGlob(String(repeating: "**/a/", count: 60) + "b").matches(BrimPath(parsing: deep)))
    }
}
