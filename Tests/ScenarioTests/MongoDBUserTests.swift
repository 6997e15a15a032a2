import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import MongoDriver
import Testing

extension ScenarioTests {
    /// A MongoDB that asks who somebody is.
    @Suite struct MongoDBUserTests {
        private static let servers = ["alpha", "bravo"]

        /// Makes a user with no more than the rights that docs/deployment.md names.
        private static func makeUser(_ swarm: Swarm, port: Int) async throws {
            let client = try MongoClient(
                uri: "mongodb://__system:\(swarm.keys.mongodKey)@127.0.0.1:\(port)/?authSource=local&replicaSet=brim")
            do {
                let rights: [BSONDocument] = ["readWrite", "dbAdmin"].map { ["role": .string($0), "db": "brim"] }
                _ = try await client.database("admin").runCommand([
                    "createUser": "narrow", "pwd": "secret", "roles": .documents(rights),
                ])
                await client.close()
            } catch {
                await client.close()
                throw error
            }
        }

        @Test func theRightsThatAreNamedAreEnough() async throws {
            var options = SwarmOptions(["--copies", "1"])
            options.database = .ownMongod
            try await Swarm.run(options) { swarm in
                let port = try Swarm.unusedPort()
                let member = "127.0.0.1:\(port)"
                try swarm.launch(
                    "mongod",
                    [
                        "mongod", "run", "--members", member, "--listen", member, "--data",
                        swarm.scratch.appending(path: "mongod").path,
                    ])
                try await swarm.waitFor("its mongod is primary") {
                    try await swarm.cli(["mongod", "status", "--members", member]).status == 0
                }
                try await Self.makeUser(swarm, port: port)

                let wrong = try await swarm.cli([
                    "master", "--listen", "127.0.0.1:0", "--mongodb",
                    "mongodb://narrow:wrong@\(member)/?replicaSet=brim&authSource=admin",
                ])
                #expect(wrong.status == 1 && wrong.stderr.contains("password"), "\(wrong)")

                let uri = "mongodb://narrow:secret@\(member)/?replicaSet=brim&authSource=admin"
                // The second start finds everything, and changes what differs.
                for _ in 1...2 {
                    if swarm.masters.isEmpty {
                        try await swarm.startMaster(named: Swarm.master, mongodb: uri)
                        try await swarm.startSlaves(Self.servers, quota: "1M")
                    } else {
                        try await swarm.stop(Swarm.master)
                        try await swarm.restart(Swarm.master)
                        try await swarm.waitUntilUp(Self.servers)
                    }
                    try await swarm.put("one", to: "/d/f")
                    try await swarm.put("two", to: "/d/f")
                    try await swarm.brim("rm", "/d/f")
                    try await swarm.brim("undelete", "/d/f")
                    try await swarm.brim("server", "quota", "alpha", "2M")
                    try await swarm.brim("purge", "--versions")
                    try await OfflineReadTests.waitUntilCopied(
                        swarm, "it, by the change stream", path: "/d/f", on: Self.servers
                    ) { $0.size == 3 }
                }
                // Nothing that goes on by itself was refused.
                try await swarm.waitFor("every loop has run") {
                    let workers = try await swarm.brim("workers", "--json").json(WorkersReply.self).workers
                    #expect(workers.allSatisfy { $0.lastError?.contains("not allowed") != true }, "\(workers)")
                    return workers.contains { $0.name == "transactions" && $0.lastRun != nil }
                }
                swarm.databaseMoved(to: uri)
                try await swarm.waitUntilAtRest(Self.servers)
                try await swarm.waitUntilConsistent(["/d/f": Data("two".utf8)])
            }
        }
    }
}
