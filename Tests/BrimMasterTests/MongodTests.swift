import BrimModel
import BrimWire
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

@Suite struct MongodMembersTests {
    private static func members(_ text: String) throws -> MongodMembers {
        MongodMembers(try mongodMembers(parsing: text), keys: try SwarmKeys(password: "password"))
    }

    @Test func membersAreParsed() throws {
        let hosts = try mongodMembers(parsing: "m1, m2:27018,[::1]:5,m1:27017")
        #expect(hosts.map(\.description) == ["m1:27017", "m2:27018", "[::1]:5"])
        for wrong in ["", ",", ":27017", "m1:0", "m1:99999", "mongodb://m1"] {
            #expect(throws: BrimError.self, "\(wrong)") { try mongodMembers(parsing: wrong) }
        }
    }

    @Test func aMachineFindsItselfByAddressAndPort() throws {
        let members = try Self.members("127.0.0.1:1001,127.0.0.1:1002,192.0.2.1:1003")
        #expect(try members.own(port: 1002) == HostPort(host: "127.0.0.1", port: 1002))
        // Nobody, an address of another machine, and two names of this one.
        for (text, port) in [("127.0.0.1:1", 2), ("192.0.2.1:1", 1), ("127.0.0.1:1,localhost:1", 1)] {
            let error = #expect(throws: BrimError.self) { try Self.members(text).own(port: port) }
            #expect(error?.code == .invalid && error?.advice?.contains("--advertise") == true)
        }
    }

    /// Every member must derive the same, from the password alone; and services are described in logs.
    @Test func theKeyFollowsFromThePassword() throws {
        let members = try Self.members("m1,m2")
        #expect(try members.key == Self.members("m3").key)
        #expect(members.key.count == 96 && members.key.allSatisfy(\.isHexDigit))
        #expect(try members.key != MongodMembers(members.hosts, keys: SwarmKeys(password: "other")).key)
        #expect(!"\(members)".contains(members.password) && !"\(members)".contains(members.key))
        #expect(members.uri.hasPrefix("mongodb://brim:\(members.password)@m1:27017,m2:27017/?replicaSet=brim"))
        #expect(members.password != members.key)
    }
}
