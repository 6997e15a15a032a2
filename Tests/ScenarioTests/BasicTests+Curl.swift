import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

/// The HTTP interface, as curl sees it.
extension ScenarioTests.BasicTests {
    @Test func theDocumentedCurlLinesWork() async throws {
        try await Swarm.run { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "100M")
            let song = Data.random(count: 300_000, seed: 3)
            _ = try swarm.scratchFile(song, named: "song.mp3")
            let line = #"curl -sS -L -w '%{http_code}' -H "Authorization: Bearer $(brim token)""#
            let url = "\(swarm.url)/v1/files/music/song.mp3"
            let put = try await swarm.shell("\(line) -T song.mp3 -o put.out \(url)")
            #expect(put.text == "201", "\(put)")
            let get = try await swarm.shell("\(line) -o back.mp3 \(url)")
            #expect(get.text == "200", "\(get)")
            #expect(try Data(contentsOf: swarm.scratch.appending(path: "back.mp3")) == song)
            #expect(try await swarm.read("/music/song.mp3") == song)
            // An upload whose length is not known beforehand.
            let stream = try await swarm.shell(
                "head -c 200000 song.mp3 | \(line) -T - -o put.out \(swarm.url)/v1/files/music/stream.mp3")
            #expect(stream.text == "201", "\(stream)")
            try await swarm.waitUntilConsistent(["/music/song.mp3": song, "/music/stream.mp3": song.prefix(200_000)])
        }
    }

    @Test func redirectsRangesAndHeads() async throws {
        try await Swarm.run { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
            let data = Data.random(count: 100_000, seed: 4)
            try await swarm.put(data, to: "/f")

            let redirect = try await swarm.curl("/v1/files/f")
            #expect(redirect.status == 307)
            let location = try #require(redirect.headers["location"])
            #expect(location.contains("/v1/blobs/") && location.contains("token="))
            // The token in the address is all that is needed for this one blob.
            let direct = try await swarm.request(location, [], token: nil)
            #expect(direct.status == 200 && direct.body == data)
            let secret = try #require(location.split(separator: "token=").last)
            for daemon in [Swarm.master, "alpha", "bravo"] {
                let log = try String(contentsOf: swarm.log(of: daemon), encoding: .utf8)
                #expect(!log.contains(secret), "the log of \(daemon) has a token")
            }

            let head = try await swarm.curl("/v1/files/f", "-I")
            #expect(head.status == 200)
            #expect(head.headers["content-length"] == "100000")
            #expect(head.headers["accept-ranges"] == "bytes")
            #expect(head.headers["last-modified"] != nil)
            #expect(head.headers["brim-checksum"] == (try await swarm.stat("/f").checksum?.description))
            let tag = try #require(head.headers["etag"])

            let whole = try await swarm.curl("/v1/files/f", "-L")
            #expect(whole.status == 200 && whole.redirects == 1 && whole.body == data)
            #expect(whole.headers["etag"] == tag)
            #expect(whole.headers["content-length"] == "100000")
            for (range, bounds) in [("0-0", 0..<1), ("70000-80000", 70_000..<80_001), ("-5", 99_995..<100_000)] {
                let part = try await swarm.curl("/v1/files/f", "-L", "-r", range)
                #expect(part.status == 206, "range \(range)")
                #expect(part.body == data[bounds], "range \(range)")
                let content = "bytes \(bounds.lowerBound)-\(bounds.upperBound - 1)/100000"
                #expect(part.headers["content-range"] == content, "range \(range)")
            }
            let tail = try await swarm.curl("/v1/files/f", "-L", "-r", "99990-200000")
            #expect(tail.status == 206 && tail.body == data.suffix(10))
            let outside = try await swarm.curl("/v1/files/f", "-L", "-r", "100000-")
            #expect(outside.status == 416)
            #expect(outside.headers["content-range"] == "bytes */100000")
            #expect(try outside.error().code == .range)
        }
    }

    @Test func conditionalRequests() async throws {
        try await Swarm.run { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "1M")
            _ = try swarm.scratchFile(Data("one".utf8), named: "one")
            _ = try swarm.scratchFile(Data("two".utf8), named: "two")
            func put(_ file: String, _ condition: String) async throws -> CurlResult {
                try await swarm.curl("/v1/files/f", "-L", "-T", file, "-H", condition)
            }
            #expect(try await put("one", "If-Match: *").status == 412)
            #expect(try await !swarm.exists("/f"))
            let created = try await put("one", "If-None-Match: *")
            #expect(created.status == 201)
            let tag = try #require(created.headers["etag"])
            #expect(try await swarm.curl("/v1/files/f", "-I").headers["etag"] == tag)

            let taken = try await put("two", "If-None-Match: *")
            #expect(taken.status == 412)
            #expect(try taken.error().code == .precondition)
            #expect(try await put("two", "If-Match: \"7\"").status == 412)
            #expect(try await swarm.read("/f") == Data("one".utf8))

            let same = try await swarm.curl("/v1/files/f", "-L", "-H", "If-None-Match: \(tag)")
            #expect(same.status == 304 && same.body.isEmpty)

            #expect(try await put("two", "If-Match: \(tag)").status == 200)
            #expect(try await swarm.read("/f") == Data("two".utf8))
            // That version is the past now.
            #expect(try await put("one", "If-Match: \(tag)").status == 412)
            let changed = try await swarm.curl("/v1/files/f", "-L", "-H", "If-None-Match: \(tag)")
            #expect(changed.status == 200 && changed.text == "two")
            #expect(try await put("one", "If-Match: \"2\"").status == 200)
            #expect(try await swarm.stat("/f").version == 3)

            // Bytes that are not those announced leave nothing behind.
            let wrong = try await swarm.curl("/v1/files/g", "-L", "-T", "one", "-H", "Brim-Checksum: crc32c:00000001")
            #expect(wrong.status == 400)
            #expect(try await !swarm.exists("/g"))

            #expect(try await swarm.curl("/v1/files/f", "-X", "DELETE").status == 200)
            let gone = try await swarm.curl("/v1/files/f", "-L")
            #expect(gone.status == 404)
            #expect(try gone.error().code == .notFound)
            #expect(try await swarm.curl("/v1/files/f", "-X", "DELETE").status == 404)
            try await swarm.waitUntilConsistent([:])
        }
    }
}
