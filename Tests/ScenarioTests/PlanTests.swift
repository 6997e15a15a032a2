import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import MongoDriver
import Testing

extension ScenarioTests {
    /// What is foreseen, against what then happens in a swarm of five.
    @Suite struct PlanTests {
        private static let servers = ["alpha", "bravo", "charlie", "delta", "echo"]
        private static let fileBytes = 50_000
        private static let files = 40

        private static func run(_ body: (Swarm) async throws -> Void) async throws {
            try await Swarm.run(SwarmOptions(["--copies", "2"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlaves(servers, quota: "1300K")
                try await body(swarm)
            }
        }

        /// Half of the files in a directory; about three copies of each fit.
        private static func fill(_ swarm: Swarm) async throws {
            let tree = swarm.scratch.appending(path: "tree")
            for directory in ["few", "many/deep"] {
                try FileManager.default.createDirectory(
                    at: tree.appending(path: directory), withIntermediateDirectories: true)
            }
            for number in 0..<files {
                let name =
                    number % 2 == 0 ? "few/\(number)" : number % 4 == 1 ? "many/\(number)" : "many/deep/\(number)"
                try Data.random(count: fileBytes, seed: UInt64(number)).write(to: tree.appending(path: name))
            }
            try await swarm.brim("put", "-r", tree.path + "/.", "/")
            try await swarm.waitFor("no room is left for another file") {
                try await swarm.status().servers.allSatisfy { $0.used + Int64(fileBytes) > $0.quota * 98 / 100 }
            }
            try await swarm.waitUntilAtRest(servers)
        }

        /// One that was counted after this was called: on a busy machine the last one is told again for some time.
        private static func freshStatus(_ swarm: Swarm) async throws -> StatusReply {
            let began = ContinuousClock.now
            var status = try await swarm.status()
            try await swarm.waitFor("numbers that are not older than the question") {
                status = try await swarm.status()
                return .seconds(status.ageSeconds) < ContinuousClock.now - began
            }
            return status
        }

        private static func plan(_ swarm: Swarm, _ arguments: String...) async throws -> PlanReply {
            let result = try await swarm.cli(["plan", "--json"] + arguments)
            #expect(result.status == 0, "\(result)")
            return try result.json(PlanReply.self)
        }

        /// What would be right after a loss, counted file by file.
        private static func expectCounted(
            _ plan: PlanReply, _ stats: [FileStat], without lost: Set<String>,
            sourceLocation: SourceLocation = #_sourceLocation
        ) {
            let left = stats.map { stat in
                (
                    k: (stat.replicas ?? []).count { !lost.contains($0.rawValue) }, n: stat.n ?? 0, size: stat.size
                )
            }
            let readable = left.filter { $0.k > 0 }
            #expect(plan.minSurplus == readable.map { $0.k - $0.n }.min(), sourceLocation: sourceLocation)
            #expect(plan.filesAtRisk == Int64(readable.count { $0.k < $0.n }), sourceLocation: sourceLocation)
            #expect(plan.filesLost == Int64(left.count { $0.k == 0 }), sourceLocation: sourceLocation)
            #expect(plan.bytesLost == left.reduce(0) { $1.k == 0 ? $0 + $1.size : $0 }, sourceLocation: sourceLocation)
        }

        /// The worst of all losses of so many servers, counted file by file.
        private static func expectCounted(
            _ loss: StatusReply.FailureBudget.Loss?, of count: Int, _ stats: [FileStat],
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            let loss = try #require(loss, sourceLocation: sourceLocation)
            func toll(_ lost: Set<String>) -> (files: Int, minSurplus: Int) {
                let left = stats.map { stat in
                    (k: (stat.replicas ?? []).count { !lost.contains($0.rawValue) }, n: stat.n ?? 0)
                }
                return (left.count { $0.k == 0 }, left.filter { $0.k > 0 }.map { $0.k - $0.n }.min() ?? .max)
            }
            let losses: [Set<String>] =
                count == 1 ? servers.map { [$0] } : servers.flatMap { a in servers.filter { a < $0 }.map { [a, $0] } }
            let worst = losses.map(toll).max { ($0.files, -$0.minSurplus) < ($1.files, -$1.minSurplus) }
            let named = toll(Set(loss.servers.map(\.rawValue)))
            #expect(loss.servers.count == count && named == worst ?? (0, 0), sourceLocation: sourceLocation)
            #expect(loss.filesLost == Int64(named.files), sourceLocation: sourceLocation)
            #expect(loss.minSurplus == named.minSurplus, sourceLocation: sourceLocation)
        }

        /// Bytes of the copies that servers have and did not have before.
        private static func copied(
            _ swarm: Swarm, since before: [String: Set<String>], on servers: [String]
        ) throws -> Int64 {
            try servers.reduce(0) { sum, server in
                try swarm.blobs(on: server).reduce(sum) {
                    before[server]?.contains($1.key) == true ? $0 : $0 + $1.value.size
                }
            }
        }

        private static func disks(_ swarm: Swarm) throws -> [String: Set<String>] {
            Dictionary(uniqueKeysWithValues: try servers.map { ($0, Set(try swarm.blobs(on: $0).keys)) })
        }

        /// The model gives the same files their copies in another order.
        private static func isNear(_ foreseen: Int64, _ happened: Int64) -> Bool {
            abs(foreseen - happened) <= max(foreseen, happened) / 5 + Int64(fileBytes)
        }

        @Test func whatIsForeseenHappens() async throws {
            try await Self.run { swarm in
                try await Self.fill(swarm)
                var stats = Array(try await swarm.files().values)
                #expect(stats.count == Self.files)
                // What losses would do.
                Self.expectCounted(try await Self.plan(swarm, "--lose", "bravo"), stats, without: ["bravo"])
                Self.expectCounted(
                    try await Self.plan(swarm, "--lose", "bravo,echo"), stats, without: ["bravo", "echo"])
                Self.expectCounted(
                    try await Self.plan(swarm, "--lose", "alpha,bravo,echo"), stats,
                    without: ["alpha", "bravo", "echo"])
                let budget = try await Self.freshStatus(swarm).failureBudget
                try Self.expectCounted(budget?.one, of: 1, stats)
                try Self.expectCounted(budget?.two, of: 2, stats)
                let told = try await swarm.brim("status").text
                #expect(told.contains("losing any one") && told.contains("losing any two"), "\(told)")

                // Another n for half of them, which then has to be found room for.
                var before = try Self.disks(swarm)
                var plan = try await Self.plan(swarm, "--copies", "/many=4")
                #expect(plan.filesLost == 0 && plan.minSurplusNow == stats.compactMap(\.surplus).min())
                try await swarm.brim("set", "-R", "/many", "n=4")
                try await swarm.waitUntilAtRest(Self.servers)
                stats = Array(try await swarm.files().values)
                #expect(stats.compactMap(\.surplus).min() == plan.minSurplusHealed)
                var happened = try Self.copied(swarm, since: before, on: Self.servers)
                print("another n: \(plan), happened \(happened)")
                #expect(Self.isNear(plan.bytesToMove, happened), "foreseen \(plan.bytesToMove), happened \(happened)")
                #expect(plan.seconds.map { $0 > 0 } == true, "copies were made, so it is known how fast")

                // A purchase.
                before = try Self.disks(swarm)
                plan = try await Self.plan(swarm, "--add", "2M")
                #expect(plan.minSurplus == plan.minSurplusNow && plan.filesLost == 0 && !plan.estimated)
                try await swarm.startSlave("foxtrot", quota: "2M")
                let six = Self.servers + ["foxtrot"]
                try await swarm.waitUntilAtRest(six)
                stats = Array(try await swarm.files().values)
                #expect(stats.compactMap(\.surplus).min() == plan.minSurplusHealed)
                happened = try Self.copied(swarm, since: before, on: six)
                print("a purchase: \(plan), happened \(happened)")
                #expect(Self.isNear(plan.bytesToMove, happened), "foreseen \(plan.bytesToMove), happened \(happened)")

                // A loss.
                before = try Self.disks(swarm)
                before["foxtrot"] = Set(try swarm.blobs(on: "foxtrot").keys)
                plan = try await Self.plan(swarm, "--lose", "alpha")
                Self.expectCounted(plan, stats, without: ["alpha"])
                try await swarm.kill9("alpha")
                let left = Array(six.dropFirst())
                try await swarm.waitFor("alpha is down") { try await swarm.server("alpha").state == .down }
                try await swarm.waitUntilAtRest(left)
                let surpluses = try await swarm.files().values.compactMap(\.surplus)
                #expect(surpluses.min() == plan.minSurplusHealed)
                happened = try Self.copied(swarm, since: before, on: left)
                print("a loss: \(plan), happened \(happened)")
                #expect(Self.isNear(plan.bytesToMove, happened), "foreseen \(plan.bytesToMove), happened \(happened)")
            }
        }

        /// A month of growth, as masters note it hour by hour.
        @Test func theDayWhenRoomEnds() async throws {
            try await Self.run { swarm in
                try await Self.fill(swarm)
                #expect(try await swarm.status().growth == nil, "nothing is known of the past")
                let now = Timestamp.now
                // 2 MB take 6 MB with a third copy of each, half as much ten days ago; there is room for 6.37 MB.
                try await swarm.withDatabase { database in
                    let samples = (0..<10).map { day -> BSONDocument in
                        let bytes = Int64(1_000_000 + day * 100_000)
                        return [
                            "at": .date(milliseconds: now.adding(.seconds((day - 10) * 86_400)).milliseconds),
                            "files": 20,
                            "bytes": .int64(bytes), "wanted": .int64(2 * bytes),
                        ]
                    }
                    try await database.collection("settings").updateOne(
                        ["_id": "growth"], ["$set": ["samples": .documents(samples)]], upsert: true)
                }
                let growth = try #require(try await Self.freshStatus(swarm).growth)
                #expect(abs(growth.bytesPerDay - 300_000) < 1000, "\(growth)")
                let day = Duration.seconds(86_400)
                let end = try #require(growth.exhausted)
                #expect(end > now.adding(day) && end < now.adding(day * 2), "\(growth)")
                try await swarm.brim("rm", "-r", "/few")
                let later = try #require(try await Self.freshStatus(swarm).growth)
                #expect(later.exhausted.map { $0 > end } ?? true, "\(later)")
                #expect(try await swarm.brim("status").text.contains("a day"))
            }
        }

        @Test func whatCannotHappen() async throws {
            try await Self.run { swarm in
                try await swarm.put("text", to: "/file")
                for (arguments, code) in [
                    (["--lose", "zulu"], BrimError.Code.notFound), (["--lose", "alpha,zulu"], .notFound),
                    (["--copies", "/missing=2"], .notFound), (["--copies", "/file=0"], .invalid),
                    (["--copies", "/file=10000"], .invalid), (["--add", "0"], .invalid),
                ] {
                    let result = try await swarm.cli(["plan", "--json"] + arguments)
                    #expect(result.status == 1, "\(arguments): \(result)")
                    #expect(try result.error().code == code, "\(arguments): \(result)")
                }
                for arguments in [
                    [], ["--lose", ""], ["--lose", "a b"], ["--add", "much"], ["--add", "-5"], ["--copies", "/file"],
                    ["--copies", "/file=many"], ["--copies", "=3"],
                ] {
                    #expect(try await swarm.cli(["plan"] + arguments).status == 2, "\(arguments)")
                }
                // A lone file and all servers lost: there is nothing left to have a surplus.
                let plan = try await Self.plan(swarm, "--lose", Self.servers.joined(separator: ","))
                #expect(plan.minSurplus == nil && plan.minSurplusHealed == nil && plan.filesLost == 1)
                #expect(plan.bytesToMove == 0)
            }
        }
    }
}
