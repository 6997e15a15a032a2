import BrimModel
import Foundation
import Testing

struct BrimPathTests {
    @Test(arguments: ["a", "ünï", "a b", "...", "-", "a\\b", String(repeating: "x", count: 255), "\u{1}", "e\u{301}"])
    func goodNames(text: String) throws {
        let name = try EntryName(text)
        #expect(Array(name.text.utf8) == Array(text.utf8))
        let json = try JSONEncoder().encode([name])
        #expect(try JSONDecoder().decode([EntryName].self, from: json) == [name])
    }

    @Test(arguments: [
        "", ".", "..", "a/b", "/", "a\0b", String(repeating: "x", count: 256), String(repeating: "ü", count: 128),
    ])
    func badNames(text: String) {
        #expect(#expect(throws: BrimError.self) { try EntryName(text) }?.code == .invalid)
    }

    @Test func badUTF8() {
        for bytes: [UInt8] in [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xc0, 0x80]] {
            #expect(#expect(throws: BrimError.self) { try EntryName(utf8: bytes) }?.code == .invalid)
        }
    }

    @Test func namesAreTheirBytes() throws {
        let composed = try EntryName("\u{e9}")
        let decomposed = try EntryName("e\u{301}")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
        #expect(decomposed < composed)
        let names = try ["b", "a", "Z", "é", "z", "\u{ff5e}", "\u{1f600}"].map { try EntryName($0) }
        #expect(names.sorted().map(\.text) == ["Z", "a", "b", "z", "é", "\u{ff5e}", "\u{1f600}"])
    }

    @Test(arguments: [
        ("", "/"), ("/", "/"), ("a", "/a"), ("/a/b/", "/a/b"), ("//a///b//", "/a/b"), ("a b/ü", "/a b/ü"),
    ])
    func parsesWhatPeopleType(text: String, expected: String) throws {
        let path = try BrimPath(parsing: text)
        #expect(path.description == expected)
        #expect(try BrimPath(parsing: path.description) == path)
        #expect(try BrimPath(percentEncoded: path.percentEncoded) == path)
    }

    @Test(arguments: ["/a/../b", "..", "/.", "/a\0"]) func refusesWhatPeopleType(text: String) {
        #expect(#expect(throws: BrimError.self) { try BrimPath(parsing: text) }?.code == .invalid)
    }

    @Test func randomPathsSurviveURLs() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Random(seed: seed)
        let alphabet = Array("aZ09-._~ %/?#&=+:@!$'()*,;[]\"<>\\^`{|}\t\u{7f}üé日本😀".unicodeScalars)
        for _ in 0..<2000 {
            let names = (0..<Int.random(in: 0...6, using: &random)).compactMap { _ -> EntryName? in
                var text = String.UnicodeScalarView()
                for _ in 0..<Int.random(in: 1...12, using: &random) {
                    if let scalar = alphabet.randomElement(using: &random) { text.append(scalar) }
                }
                return try? EntryName(String(text))
            }
            let path = try BrimPath(names)
            let encoded = path.percentEncoded
            #expect(try BrimPath(percentEncoded: encoded) == path, "seed \(seed)")
            #expect(encoded.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != 63 && $0 != 35 }, "seed \(seed)")
            #expect(try BrimPath(parsing: path.description) == path, "seed \(seed)")
        }
    }

    @Test(arguments: ["a//b", "//a", "a//", "%", "a%2", "a%2Fb", "%2e", "%2E%2e", "%00", "%ff", "a/./b", "%gg"])
    func refusesURLs(text: String) {
        #expect(#expect(throws: BrimError.self) { try BrimPath(percentEncoded: text) }?.code == .invalid)
    }

    @Test func decodesOnce() throws {
        #expect(try BrimPath(percentEncoded: "/%2525").description == "/%25")
        #expect(try BrimPath(percentEncoded: "%252F/").description == "/%2F")
    }

    @Test func relations() throws {
        let root = BrimPath.root
        let a = try BrimPath(parsing: "/a")
        let ab = try BrimPath(parsing: "/a/b")
        #expect(root.parent == nil && root.name == nil && root.isRoot)
        #expect(ab.parent == a && a.parent == root)
        #expect(ab.name?.text == "b")
        #expect(try a.appending(EntryName("b")) == ab)
        #expect(root.contains(ab) && a.contains(ab) && a.contains(a) && !ab.contains(a))
        #expect(try !BrimPath(parsing: "/a").contains(BrimPath(parsing: "/ab")))
    }

    @Test func limits() throws {
        let name = try EntryName("x")
        let deepest = try BrimPath(Array(repeating: name, count: 255))
        #expect(throws: BrimError.self) { try deepest.appending(name) }
        let long = try EntryName(String(repeating: "x", count: 255))
        #expect(throws: Never.self) { try BrimPath(Array(repeating: long, count: 16)) }
        #expect(throws: BrimError.self) { try BrimPath(Array(repeating: long, count: 16) + [name]) }
    }
}

/// SplitMix64: the same numbers for the same seed.
struct Random: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
