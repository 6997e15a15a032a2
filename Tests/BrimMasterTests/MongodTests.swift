import BrimModel
import Foundation
import Testing

@testable import BrimMaster

@Suite struct MongodLocatorTests {
    @Test func saysHowToGetOne() {
        let error = #expect(throws: BrimError.self) {
            try MongodLocator.locate(explicit: nil, environment: ["PATH": "/nonexistent", "HOME": "/nonexistent"])
        }
        #expect(error?.code == .unavailable)
        #expect(error?.advice?.contains("deploy/get-mongod") == true)
        #expect(error?.advice?.contains("--mongodb") == true)
    }

    @Test func refusesAnExplicitOneThatIsMissing() {
        #expect(throws: BrimError.self) { try MongodLocator.locate(explicit: "/nonexistent/mongod", environment: [:]) }
    }

    @Test func prefersPathToTheCacheAndTheNewestInTheCache() throws {
        let directory = try TemporaryDirectory()
        let cache = directory.url.appendingPathComponent("cache")
        try directory.executable("cache/brim/mongod-6.0.5/mongod")
        let newer = try directory.executable("cache/brim/mongod-10.0.1/mongod")
        var environment = ["PATH": "/nonexistent", "XDG_CACHE_HOME": cache.path]
        #expect(try MongodLocator.locate(explicit: nil, environment: environment).path == newer.path)

        let onPath = try directory.executable("bin/mongod")
        environment["PATH"] = "/nonexistent:\(directory.url.path)/bin"
        #expect(try MongodLocator.locate(explicit: nil, environment: environment).path == onPath.path)
    }
}

@Suite struct GuardedProcessTests {
    @Test func tellsTheExitStatusToAllWhoWait() async throws {
        let directory = try TemporaryDirectory()
        let log = directory.url.appendingPathComponent("log")
        let child = try GuardedProcess(URL(fileURLWithPath: "/bin/sh"), ["-c", "echo hello; exit 7"], log: log)
        async let first = child.wait()
        async let second = child.wait()
        #expect(await first == 7)
        #expect(await second == 7)
        #expect(try String(contentsOf: log, encoding: .utf8) == "hello\n")
    }

    @Test func endsTheChildWhenTheLifelineCloses() async throws {
        let directory = try TemporaryDirectory()
        let child = try GuardedProcess(
            URL(fileURLWithPath: "/bin/sleep"), ["1000"], log: directory.url.appendingPathComponent("log"))
        child.terminate()
        #expect(await child.wait() != 0)
    }
}

@Suite struct FreePortTests {
    @Test func findsPortsThatAreFree() throws {
        let port = try FreePort.find()
        #expect((1024...65535).contains(port))
        #expect(FreePort.isFree(port))
        #expect(!FreePort.isFree(-1))
    }
}

/// A directory that is removed with its last reference.
final class TemporaryDirectory {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("brim-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    @discardableResult
    func executable(_ path: String) throws -> URL {
        let file = url.appendingPathComponent(path)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data("#!/bin/sh\n".utf8).write(to: file)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: file.path)
        return file
    }
}
