import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Testing

/// Whole trees, there and back.
extension ScenarioTests.BasicTests {
    @Test func treesKeepModeTimeAndLinksAndNameWhatTheySkip() async throws {
        try await Swarm.run { swarm in
            try await swarm.startMaster()
            try await swarm.startSlaves(["alpha", "bravo"], quota: "10M")
            let made = try await swarm.shell(
                #"""
                set -e
                mkdir -p tree/sub/deep tree/closed tree/special
                printf 'hello\n' > tree/a.txt && chmod 0640 tree/a.txt
                head -c 70000 /dev/urandom > tree/sub/deep/b.bin && chmod 0755 tree/sub/deep/b.bin
                : > tree/empty
                i=0; while [ $i -lt 60 ]; do printf "file $i" > "tree/sub/file $i"; i=$((i + 1)); done
                printf 1 > "tree/$(printf 'nfc-\303\251')"; printf 22 > "tree/$(printf 'nfd-e\314\201')"
                ln -s a.txt tree/link && ln -s /nowhere/at\ all tree/sub/dangling
                mkfifo tree/special/pipe
                printf x > "tree/special/$(printf 'caf\351.jpg')"
                touch -d '2001-02-03 04:05:06.789012345 UTC' tree/a.txt
                touch -d '1969-07-20 20:17:40.5 UTC' tree/sub/deep/b.bin
                chmod 0500 tree/closed
                touch -d '2010-01-01 UTC' tree/closed && touch -d '2011-01-01 UTC' tree/sub
                """#)
            try #require(made.status == 0, "\(made)")

            let put = try await swarm.cli(["put", "-r", "tree", "/copy"])
            #expect(put.status == 1, "\(put)")
            #expect(put.stderr.contains("special/pipe"), "\(put)")
            #expect(put.stderr.contains(#"'tree/special/caf\xe9.jpg' is not valid UTF-8"#), "\(put)")
            #expect(put.stderr.contains("2 things in 'tree'"), "\(put)")
            let get = try await swarm.cli(["get", "-r", "/copy", "back"])
            #expect(get.status == 0, "\(get)")
            let copied = try await swarm.treeDescription("tree", without: "caf*")
            #expect(try await swarm.treeDescription("back") == copied)

            // Once more onto the same: nothing but new versions, and inside what exists.
            let removed = try await swarm.shell("rm tree/special/* && chmod 0700 tree/closed")
            try #require(removed.status == 0)
            try await swarm.brim("put", "-r", "tree", "/copy")
            #expect(try await swarm.brim("ls", "/copy/tree/sub/deep").text == "b.bin")
            let du = try await swarm.brim("du", "--json", "/copy").json(UsageReply.self)
            #expect(du.files == 2 * 65, "\(du)")
            try await swarm.brim("rm", "-r", "/copy")
            try await swarm.waitUntilConsistent([:])
        }
    }
}
