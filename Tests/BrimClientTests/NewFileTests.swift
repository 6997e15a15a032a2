import BrimModel
import Foundation
import NIOCore
import Testing

@testable import BrimClient

/// Files of this machine appear whole or not at all.
@Suite struct NewFileTests {
    private func write(_ text: String, to path: String, mode: Int? = nil) async throws {
        let file = try await NewFile(at: path)
        defer { file.discard() }
        try await file.write(ByteBuffer(string: text))
        try await file.commit(mode: mode, fallbackMode: 0o640, modified: nil)
    }

    @Test func appearsWithItsLastByte() async throws {
        let directory = try TemporaryDirectory()
        let path = try directory.file("f", "old")
        let file = try await NewFile(at: path)
        try await file.write(ByteBuffer(string: "wrong"))
        #expect(try await file.restart())
        try await file.write(ByteBuffer(string: "ne"))
        try await file.write(ByteBuffer(string: "w"))
        #expect(try directory.text("f") == "old")
        try await file.commit(mode: 0o604, fallbackMode: 0, modified: Timestamp(seconds: 1, nanoseconds: 5))
        file.discard()
        #expect(try directory.text("f") == "new")
        #expect(try directory.names == ["f"])
        let status = try #require(Posix.status(of: path))
        #expect(status.permissions == 0o604)
        #expect(status.modified == Timestamp(seconds: 1, nanoseconds: 5))
    }

    @Test func leavesNothingWhenDiscarded() async throws {
        let directory = try TemporaryDirectory()
        let file = try await NewFile(at: directory.path + "/f")
        try await file.write(ByteBuffer(string: "half"))
        #expect(try directory.names.count == 1)
        file.discard()
        #expect(try directory.names.isEmpty)
    }

    @Test func keepsTheModeOfWhatItReplacesAndFollowsALink() async throws {
        let directory = try TemporaryDirectory()
        let path = try directory.file("real", "old")
        #expect(chmod(path, 0o705) == 0)
        try FileManager.default.createSymbolicLink(atPath: directory.path + "/link", withDestinationPath: "real")
        try await write("new", to: directory.path + "/link")
        #expect(try directory.text("real") == "new")
        #expect(Posix.status(of: path)?.permissions == 0o705)
        #expect(try directory.names == ["link", "real"])
        try await write("fresh", to: directory.path + "/fresh")
        #expect(Posix.status(of: directory.path + "/fresh")?.permissions == 0o640 & ~LocalPath.umaskBits)
    }

    /// The temporary name is longer than the file's own.
    @Test(arguments: ["x", String(repeating: "x", count: 255), String(repeating: "ä", count: 127) + "x"])
    func namesOfAnyLength(name: String) async throws {
        let directory = try TemporaryDirectory()
        try await write("text", to: directory.path + "/" + name)
        #expect(try directory.names == [name])
    }

    @Test func aDirectoryThatIsMissingIsAnError() async throws {
        let error = await #expect(throws: BrimError.self) { _ = try await NewFile(at: "/nowhere/at/all") }
        #expect(error?.code == .notFound)
        #expect(error?.message.contains("'/nowhere/at/all'") == true)
    }
}
