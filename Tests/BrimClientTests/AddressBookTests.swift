import BrimModel
import Foundation
import Testing

@testable import BrimClient

@Suite struct AddressBookTests {
    private let directory = FileManager.default.temporaryDirectory.appending(path: "brim-book-\(UUID().uuidString)")
    private var book: AddressBook { AddressBook(directory: directory.path) }
    private let addresses = SwarmAddresses(masters: ["http://m1:4242"], slaves: ["http://s1:4243", "http://s2:4243"])

    @Test func whatIsNotedIsFoundForTheSameMasters() throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        #expect(book.recall(["http://m1:4242"]) == nil)
        #expect(book.note(addresses, for: ["http://m1:4242", "http://m2:4242"]))
        let found = try #require(book.recall(["http://m2:4242", "http://m1:4242"]))
        #expect(found.addresses == addresses && found.age < 60)
        #expect(book.recall(["http://m1:4242"]) == nil, "another list")
        let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
        #expect(files.count == 1, "nothing is left beside it: \(files)")
        let mode = try FileManager.default.attributesOfItem(atPath: directory.path + "/" + files[0])[.posixPermissions]
        #expect(mode as? Int == 0o600)
    }

    @Test func whatIsNotUnderstoodIsNothing() throws {
        defer { try? FileManager.default.removeItem(at: directory) }
        #expect(book.note(addresses, for: ["m"]))
        try Data("half of {".utf8).write(to: URL(filePath: book.path(["m"])))
        #expect(book.recall(["m"]) == nil)
    }

    /// A cache that cannot be written is no reason to fail.
    @Test func aPlaceThatCannotBeWrittenIsNoError() throws {
        try Data().write(to: directory)
        defer { try? FileManager.default.removeItem(at: directory) }
        #expect(!book.note(addresses, for: ["m"]))
        #expect(book.recall(["m"]) == nil)
    }

    @Test func onlyReadsAreAskedOfSlaves() {
        let reads = ["/v1/stat/a", "/v1/stat", "/v1/list/?limit=10", "/v1/where/a"]
        for route in reads { #expect(OfflineReads.isRead(.GET, route), "\(route)") }
        #expect(OfflineReads.isRead(.POST, "/v1/reads"))
        for route in ["/v1/status", "/v1/usage/a", "/v1/servers", "/v1/versions/a"] {
            #expect(!OfflineReads.isRead(.GET, route), "\(route)")
        }
        #expect(!OfflineReads.isRead(.POST, "/v1/writes") && !OfflineReads.isRead(.DELETE, "/v1/stat/a"))
    }
}
