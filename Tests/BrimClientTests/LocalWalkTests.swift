import BrimModel
import Foundation
import Testing

@testable import BrimClient

@Suite struct LocalWalkTests {
    /// Everything that a walk gives, in its order.
    private func entries(_ top: String) async throws -> [LocalEntry] {
        var entries: [LocalEntry] = []
        var walk = try await LocalWalk(top: top)
        while let entry = try await walk.next() { entries.append(entry) }
        return entries
    }

    @Test func depthFirstInOrderOfNamesWithoutFollowingLinks() async throws {
        let directory = try TemporaryDirectory()
        _ = try directory.file("b/two", "22")
        _ = try directory.file("b/one", "1")
        _ = try directory.file("a")
        _ = try directory.file("B")
        try FileManager.default.createSymbolicLink(atPath: directory.path + "/c", withDestinationPath: "b")
        #expect(mkfifo(directory.path + "/d", 0o600) == 0)
        let found = try await entries(directory.path).map { entry in
            let name = entry.relative.map(\.text).joined(separator: "/")
            return switch entry.kind {
            case .file(let size): "\(name) \(size)"
            case .directory: "\(name)/"
            case .symlink(let target): "\(name) -> \(target)"
            case .special(let what): "\(name) is \(what)"
            case .unreadable(let error): "\(name): \(error)"
            }
        }
        #expect(found == ["/", "B 0", "a 0", "b/", "b/one 1", "b/two 2", "c -> b", "d is a named pipe"])
    }

    @Test func namesThatAreNotUTF8AreNamedAndTheOthersGoOn() async throws {
        let directory = try TemporaryDirectory()
        for name in [[0x63, 0x61, 0x66, 0xe9], [0x62], [0x64]] as [[UInt8]] {
            let path = Array(directory.path.utf8) + [UInt8(ascii: "/")] + name + [0]
            let descriptor = path.withUnsafeBufferPointer { bytes in
                bytes.withMemoryRebound(to: CChar.self) { pointer in
                    pointer.baseAddress.map { open($0, O_WRONLY | O_CREAT, 0o600) } ?? -1
                }
            }
            #expect(descriptor >= 0 && close(descriptor) == 0)
        }
        let found = try await entries(directory.path).dropFirst()
        #expect(found.map { LocalPath.name(of: $0.path) } == ["b", #"caf\xe9"#, "d"])
        guard case .unreadable(let error) = try #require(found.dropFirst().first).kind else {
            Issue.record("it was read")
            return
        }
        #expect(error.code == .invalid)
        #expect(error.message == #"the name of '\#(directory.path)/caf\xe9' is not valid UTF-8: skipped"#)
        #expect(error.advice != nil)
    }

    @Test func aTopThatIsNotThereIsAnError() async throws {
        let error = await #expect(throws: BrimError.self) { _ = try await LocalWalk(top: "/nowhere/at/all") }
        #expect(error?.code == .notFound)
    }

    @Test(
        arguments: [
            ([], ""), ([0x61, 0xc3, 0xa9], "aé"), ([0xe9], #"\xe9"#), ([0x61, 0xff, 0x0a, 0x62], "a\\xff\nb"),
            // Cut off, too long a form, a surrogate, a byte that only continues.
            ([0xe2, 0x82, 0x41], #"\xe2\x82A"#), ([0xc0, 0xaf], #"\xc0\xaf"#), ([0xed, 0xa0, 0x80], #"\xed\xa0\x80"#),
            ([0x80, 0x31], #"\x801"#), ([0x01, 0xf0, 0x9f, 0x8e, 0xb5], "\u{1}🎵"), ([0x5c, 0x78], #"\x"#),
        ] as [([UInt8], String)])
    func escaping(bytes: [UInt8], text: String) {
        #expect(String(escapingInvalidUTF8: bytes) == text)
    }
}
