import BrimModel
import BrimWire
import Foundation
import NIOCore
import Testing

@testable import BrimSlave

@Suite struct BlobStoreTests {
    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 300_000, 1_500_000])
    func writesWhatItIsGiven(size: Int) async throws {
        try await Disk.with { (disk: Disk) async throws in
            let content = bytes(size)
            let blob = BlobIDs.shared.next()
            var incoming = disk.store.receive(blob)
            for start in stride(from: 0, to: size, by: 100_000) {
                let part = content[start..<min(size, start + 100_000)]
                _ = try await incoming.append(ByteBuffer(bytes: part))
            }
            try await incoming.install()
            let digits = blob.description.suffix(4)
            let path = "\(disk.temporary.path)/blobs/\(digits.prefix(2))/\(digits.suffix(2))/\(blob)"
            #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data(content))
            #expect(incoming.sums.checksum == checksum(content))
            #expect(try disk.temporary.names("incoming").isEmpty)
            #expect(try await disk.store.holds(blob, size: Int64(size)))
        }
    }

    @Test func discardLeavesNothing() async throws {
        try await Disk.with { (disk: Disk) async throws in
            var incoming = disk.store.receive(BlobIDs.shared.next())
            _ = try await incoming.append(ByteBuffer(bytes: bytes(600_000)))
            #expect(try disk.temporary.names("incoming").count == 1)
            await incoming.discard()
            #expect(try disk.temporary.names("incoming").isEmpty)
            #expect(disk.health.fault == nil)
        }
    }

    @Test("A disk that failed once takes no more writes")
    func failingDisk() async throws {
        try await Disk.with { (disk: Disk) async throws in
            try FileManager.default.removeItem(atPath: disk.directory.blobs)
            try Data().write(to: URL(fileURLWithPath: disk.directory.blobs))
            var incoming = disk.store.receive(BlobIDs.shared.next())
            _ = try await incoming.append(ByteBuffer(bytes: [1]))
            #expect(await failure { try await incoming.install() } == .io)
            await incoming.discard()
            #expect(throws: BrimError.self) { try disk.health.check() }
        }
    }

    @Test("Many at once, on disks that are synced as a whole and on others", arguments: [true, false])
    func installsMany(together: Bool) async throws {
        try await Disk.with(syncsTogether: together) { (disk: Disk) async throws in
            let arrivals = (0..<300).map { index in
                BlobStore.Arrival(
                    blob: BlobIDs.shared.next(), bytes: ByteBuffer(bytes: bytes(index, seed: UInt64(index))))
            }
            try await disk.store.install(Array(arrivals.prefix(100)))
            try await disk.store.install(Array(arrivals.dropFirst(100)))
            for (index, arrival) in arrivals.enumerated() {
                let there = try Data(contentsOf: URL(fileURLWithPath: disk.store.path(of: arrival.blob)))
                #expect(there == Data(bytes(index, seed: UInt64(index))))
            }
            #expect(try disk.temporary.names("incoming").isEmpty)
        }
    }

    @Test("Of many of which one cannot be placed none remains, and the disk takes no more", arguments: [true, false])
    func installsAllOrNone(together: Bool) async throws {
        try await Disk.with(syncsTogether: together) { (disk: Disk) async throws in
            let arrivals = (0..<20).map { _ in
                BlobStore.Arrival(blob: BlobIDs.shared.next(), bytes: ByteBuffer(bytes: [1, 2]))
            }
            // In the way of one of the files.
            try FileManager.default.createDirectory(
                atPath: disk.store.path(of: arrivals[7].blob), withIntermediateDirectories: true)
            #expect(await failure { try await disk.store.install(arrivals) } == .io)
            for (index, arrival) in arrivals.enumerated() where index != 7 {
                #expect(try POSIX.status(disk.store.path(of: arrival.blob)) == nil)
            }
            #expect(try disk.temporary.names("incoming").isEmpty)
            #expect(throws: BrimError.self) { try disk.health.check() }
        }
    }

    @Test func quarantineSparesANewerFile() async throws {
        try await Disk.with { (disk: Disk) async throws in
            let blob = try await disk.put([1, 2, 3])
            let inode = try #require(try POSIX.status(disk.store.path(of: blob))?.inode)
            #expect(try await disk.store.quarantine(blob, inode: inode &+ 1) == nil)
            #expect(try await disk.store.quarantine(blob, inode: inode) != nil)
            #expect(try await disk.store.quarantine(blob, inode: inode) == nil)
            #expect(try disk.temporary.names("quarantine").count == 1)
        }
    }

    @Test func blocksAreVerified() throws {
        let content = bytes(150_000)
        var sums = BlobSummer()
        content.withUnsafeBytes { sums.update($0) }
        try BlockReader.verify(ByteBuffer(bytes: content), expecting: content.count, sums.blocks[...])
        for place in [0, 70_000, 149_999] {
            var bad = content
            bad[place] ^= 1
            #expect(throws: BrimError.self) {
                try BlockReader.verify(ByteBuffer(bytes: bad), expecting: bad.count, sums.blocks[...])
            }
        }
        #expect(throws: BrimError.self) {
            try BlockReader.verify(ByteBuffer(bytes: content.dropLast()), expecting: content.count, sums.blocks[...])
        }
    }
}

@Suite struct ReconciliationTests {
    private func run(_ disk: Disk) async throws -> Reconciliation.Findings {
        try await Reconciliation(store: disk.store, catalog: disk.catalog, logger: quiet()).run()
    }

    @Test("After a kill: incoming emptied, strays adopted, missing and damaged reported")
    func afterAKill() async throws {
        try await Disk.with { (disk: Disk) async throws in
            let content = bytes(100_000)
            let whole = try await disk.put(content)
            let stray = try await disk.put(content)
            _ = try await disk.catalog.remove([stray])
            let missing = try await disk.put([1])
            try POSIX.unlink(disk.store.path(of: missing))
            let short = try await disk.put(content)
            try Data(content.dropLast()).write(to: URL(fileURLWithPath: disk.store.path(of: short)))
            try Data([1]).write(to: URL(fileURLWithPath: disk.directory.incoming + "/\(BlobIDs.shared.next()).x"))
            let foreign = disk.directory.blobs + "/notes.txt"
            try Data([1]).write(to: URL(fileURLWithPath: foreign))

            let findings = try await run(disk)
            #expect(Set(findings.lost) == [missing, short])
            #expect(findings.adopted == [stray])
            #expect(findings.files == 2)
            #expect(findings.stored == 299_999)
            #expect(try disk.temporary.names("incoming").isEmpty)
            #expect(try disk.temporary.names("quarantine").count == 1)
            #expect(FileManager.default.fileExists(atPath: foreign))
            let row = try #require(try await disk.catalog.row(stray))
            #expect(row.state == .pending && row.label.file == FileID(0) && row.checksum == checksum(content))
            #expect(Set(try await disk.catalog.sizes().keys) == [whole, stray])

            let again = try await run(disk)
            #expect(again.lost.isEmpty && again.adopted.isEmpty && again.files == 2 && again.stored == 299_999)
        }
    }

    @Test func emptyDirectory() async throws {
        try await Disk.with { (disk: Disk) async throws in #expect(try await run(disk) == Reconciliation.Findings()) }
    }
}

@Suite struct DataDirectoryTests {
    @Test func onlyOneDaemon() throws {
        let temporary = try TemporaryDirectory()
        defer { withExtendedLifetime(temporary) {} }
        let first = try DataDirectory(path: temporary.path, name: nil)
        #expect(throws: BrimError.self) { try DataDirectory(path: temporary.path, name: nil) }
        withExtendedLifetime(first) {}
    }

    @Test func noticesThatItIsGone() throws {
        let temporary = try TemporaryDirectory()
        defer { withExtendedLifetime(temporary) {} }
        let (here, there) = (temporary.path + "/here", temporary.path + "/there")
        let directory = try DataDirectory(path: here, name: nil)
        #expect(directory.fault() == nil)
        try FileManager.default.moveItem(atPath: here, toPath: there)
        #expect(directory.fault()?.isReadable == false)
        // Another one in its place is not it.
        let other = try DataDirectory(path: here, name: nil)
        #expect(directory.fault()?.isReadable == false && other.fault() == nil)
        try FileManager.default.removeItem(atPath: here)
        try FileManager.default.moveItem(atPath: there, toPath: here)
        #expect(directory.fault() == nil)
    }

    @Test func aFaultIsKeptUntilAWorseOne() throws {
        let health = DiskHealth(logger: quiet())
        #expect(throws: Never.self) { try health.check() }
        #expect {
            try health.watch { throw BrimError(.full, "no room") }
        } throws: {
            ($0 as? BrimError)?.code == .full
        }
        #expect(health.fault == nil)
        // What this slave made itself is not "not found" for those who asked it to write.
        #expect {
            try health.watch { throw BrimError(.notFound, "no such file") }
        } throws: {
            ($0 as? BrimError)?.code == .io
        }
        #expect(health.fault == ServerFault(reason: "no such file", isReadable: true))
        #expect(throws: BrimError.self) { try health.check() }
        #expect(throws: Never.self) { try health.checkReadable() }
        health.markFailing("another")
        #expect(health.fault?.reason == "no such file")
        health.mark(ServerFault(reason: "gone", isReadable: false))
        #expect(health.fault?.reason == "gone")
        #expect(throws: BrimError.self) { try health.checkReadable() }
    }

    @Test func remembers() throws {
        let temporary = try TemporaryDirectory()
        defer { withExtendedLifetime(temporary) {} }
        let path = temporary.path + "/a/b"
        let name = try ServerName(validating: "alpha")
        var id = ""
        do {
            let directory = try DataDirectory(path: path, name: nil)
            id = directory.identity.id
            try directory.update {
                $0.name = name
                $0.quota = 5
            }
        }
        #expect(throws: BrimError.self) { try DataDirectory(path: path, name: try ServerName(validating: "bravo")) }
        let directory = try DataDirectory(path: path, name: name)
        #expect(directory.identity.id == id && directory.identity.quota == 5)
    }

    @Test func refusesNewerFormatsAndLostIdentity() throws {
        let temporary = try TemporaryDirectory()
        defer { withExtendedLifetime(temporary) {} }
        let file = URL(fileURLWithPath: temporary.path + "/brim.json")
        try Data(#"{"format": 2, "id": 7}"#.utf8).write(to: file)
        #expect {
            try DataDirectory(path: temporary.path, name: nil)
        } throws: {
            ($0 as? BrimError)?.code == .unsupported
        }
        try FileManager.default.removeItem(at: file)
        try Data().write(to: URL(fileURLWithPath: temporary.path + "/catalog.sqlite"))
        #expect(throws: BrimError.self) { try DataDirectory(path: temporary.path, name: nil) }
    }

    @Test("brim.json of format 1")
    func fixture() throws {
        let temporary = try TemporaryDirectory()
        defer { withExtendedLifetime(temporary) {} }
        let text = """
            {"format": 1, "id": "a-b", "name": "alpha", "quota": 10, "quotaAsked": 20, "swarm": "s"}
            """
        try Data(text.utf8).write(to: URL(fileURLWithPath: temporary.path + "/brim.json"))
        let identity = try DataDirectory(path: temporary.path, name: nil).identity
        #expect(identity.id == "a-b" && identity.name?.rawValue == "alpha" && identity.swarm == "s")
        #expect(identity.quota == 10 && identity.quotaAsked == 20)
    }

    @Test func hostNames() throws {
        #expect(try HostName.serverName(host: "alpha").rawValue == "alpha")
        #expect(try HostName.serverName(host: "-my host_1", number: 2).rawValue == "my-host_1-2")
        #expect(try HostName.serverName(host: "").rawValue == "server")
        #expect(try HostName.serverName(host: String(repeating: "a", count: 99), number: 12).rawValue.count == 63)
    }
}
