import AsyncHTTPClient
import BrimClient
import BrimModel
import BrimTestKit
import BrimWire
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import Testing

@testable import BrimMaster
@testable import BrimSlave

extension ScenarioTests {
    /// The routes against `docs/openapi.yaml`, and every route against requests that do not keep to it.
    @Suite struct ContractTests {
        typealias Operation = OpenAPI.Operation

        @Test func everyRouteIsDescribedAndEveryDescriptionHasARoute() async throws {
            func normal(_ path: Substring) -> String {
                path.split(separator: "/").map { $0.hasPrefix(":") || $0.hasPrefix("{") || $0 == "**" ? "*" : $0 }
                    .joined(separator: "/")
            }
            func normal(_ endpoints: [String]) -> Set<String> {
                Set(endpoints.map { $0.prefix { $0 != " " } + " " + normal($0.drop { $0 != "/" }) })
            }
            let routes = normal(try await masterEndpoints() + slaveEndpoints())
            let described = normal(try OpenAPI().operations.map(\.description))
            // Where a GET is, HEAD is too.
            let heads = Set(routes.filter { $0.hasPrefix("HEAD ") && !described.contains($0) })
            #expect(routes.subtracting(heads).subtracting(described) == [], "not described")
            #expect(described.subtracting(routes) == [], "no such route")
        }

        private func masterEndpoints() async throws -> [String] {
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let peers = PeerClient(logger: logger)
            let master = try await Master(
                configuration: MasterConfiguration(
                    listen: HostPort(host: "127.0.0.1", port: 0), dataDirectory: URL(filePath: "/nonexistent"),
                    keys: try SwarmKeys(password: "test")),
                holder: "test", store: InMemoryMetadataStore(), peers: peers, logger: logger)
            await peers.shutdown()
            return master.server.endpoints
        }

        private func slaveEndpoints() async throws -> [String] {
            let data = FileManager.default.temporaryDirectory.appending(path: "brim-contract-\(UUID().uuidString)")
            defer { try? FileManager.default.removeItem(at: data) }
            let slave = SlaveService(
                configuration: SlaveConfiguration(
                    masters: ["http://127.0.0.1:1"], dataDirectory: data.path, quota: .bytes(1),
                    listen: HostPort(host: "127.0.0.1", port: 0), keys: try SwarmKeys(password: "test")),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await slave.run() }
                let endpoints = try await slave.endpoints
                group.cancelAll()
                return endpoints
            }
        }

        // MARK: - Every operation, used rightly and wrongly

        @Test func everyOperationKeepsToItsDescriptionWhateverItIsSent() async throws {
            let api = try OpenAPI()
            try await Swarm.run(SwarmOptions(["--copies", "1"])) { swarm in
                try await swarm.startMaster()
                try await swarm.startSlave("alpha", quota: "1G")
                // To be emptied and forgotten; too small for any file.
                try await swarm.startSlaves(["bravo", "charlie"], quota: "1")
                for operation in api.operations {
                    let bench = try await Bench(api: api, operation: operation, swarm: swarm)
                    try await bench.strangersAreTurnedAway()
                    try await bench.wrongMethodsAreRefused(api.operations)
                    try await bench.wrongParametersAreRefused()
                    try await bench.wrongBodiesAreRefused()
                    try await bench.rightUseIsAnsweredAsDescribed()
                }
                for daemon in ["master", "alpha"] {
                    #expect(try swarm.process(of: daemon).isRunning, "\(daemon) has ended")
                }
                try await swarm.put("still here", to: "/after")
                #expect(try await swarm.read("/after") == Data("still here".utf8))
            }
        }
    }
}

/// One operation under test, with an entry of its own in the swarm.
private struct Bench {
    let api: OpenAPI
    let operation: OpenAPI.Operation
    let swarm: Swarm
    let url: String
    /// A body that fits.
    let body: JSON?
    let token: String?

    init(api: OpenAPI, operation: OpenAPI.Operation, swarm: Swarm) async throws {
        self.api = api
        self.operation = operation
        self.swarm = swarm
        let path = "/contract/\(operation.id)"
        let parent = operation.id == "makeDirectory" || operation.id == "makeSymlink" ? path + "/new" : path
        try await swarm.client().put(BytesSource(ByteBuffer(string: "contents")), to: BrimPath(parsing: path + "/file"))
        let place = operation.id.hasPrefix("make") ? parent : path + "/file"
        if operation.id == "undelete" { try await swarm.client().remove(BrimPath(parsing: place)) }
        var concrete = operation.path.replacing(
            "/{path}", with: ["list", "changeCopies"].contains(operation.id) ? path : place
        )
        .replacing("{name}", with: Self.server(for: operation))
        if operation.id == "forgetServer" { try await swarm.brim("server", "drain", Self.server(for: operation)) }
        var token = try swarm.keys.sign(operation.isForNodes ? .node(name: "alpha") : .admin())
        if operation.path.contains("{blob}") {
            let stat = try await swarm.stat(place)
            let blob = try #require(stat.blob)
            concrete = concrete.replacing("{blob}", with: "\(blob)")
            if operation.method != "PUT", operation.takesBlobToken {
                token = try swarm.keys.sign(
                    .read(ReadGrant(blob: blob, version: stat.version ?? 1, name: "file"), lifetime: .seconds(60)))
            }
        }
        var base = swarm.url
        if operation.isOnSlave {
            let arguments = try swarm.arguments(of: "alpha")
            base = "http://\(arguments[try #require(arguments.firstIndex(of: "--listen")) + 1])"
        }
        url = base + concrete
        self.token = operation.isOpen ? nil : token
        body = api.body(of: operation).map { schema in
            var sample = schema.sample()
            if operation.id == "rename" {
                sample = .object(["from": .string(place), "to": .string(path + "/moved"), "replace": .bool(false)])
            }
            if operation.id == "grantWrites" {
                sample = .object(["writes": .array([.object(["path": .string(place), "size": .number(3)])])])
            }
            if operation.id.hasSuffix("Quota") { sample = .object(["quota": .number(1e9)]) }
            if operation.id == "undelete" || operation.id == "purge" { sample = .object(["path": .string(place)]) }
            if operation.id == "restore" { sample = .object(["path": .string(place), "version": .number(1)]) }
            if operation.id == "changeSettings" { sample = .object(["values": .object(["floor": .string("0")])]) }
            if operation.id == "changePolicy" { sample = .object(["text": .string("rules: []")]) }
            if operation.id == "testPolicy" {
                sample = .object(["paths": .array([.string(place)]), "text": .string("rules: []")])
            }
            if operation.id == "plan" {
                let copies = JSON.object(["path": .string(place), "n": .number(2)])
                sample = .object(["lose": .array([]), "add": .array([.number(1e9)]), "copies": copies])
            }
            if operation.id == "planReads" { sample = .object(["paths": .array([.string(place)])]) }
            return sample
        }
    }

    private static func server(for operation: OpenAPI.Operation) -> String {
        switch operation.id {
        case "forgetServer": "charlie"
        case "drainServer", "undrainServer": "bravo"
        default: "alpha"
        }
    }

    struct Answer: CustomStringConvertible {
        var status: Int
        var headers: HTTPHeaders
        var body: Data
        var description: String { "\(status) \(String(decoding: body.prefix(300), as: UTF8.self))" }
    }

    /// Follows no redirects. Lives as long as the process.
    private static let client = HTTPClient(
        configuration: HTTPClient.Configuration(redirectConfiguration: .disallow))

    private func send(
        _ method: String? = nil, query: String = "", body: Data? = nil, token: String?? = .none
    ) async throws -> Answer {
        var query = query
        // It would go on for ever.
        if operation.id == "changes", !query.contains("seconds=") {
            query += (query.isEmpty ? "?" : "&") + "seconds=1"
        }
        var request = HTTPClientRequest(url: url + query)
        request.method = .init(rawValue: method ?? operation.method)
        if let token = token ?? self.token { request.headers.add(name: "authorization", value: "Bearer \(token)") }
        if let body = body ?? self.body.map({ Data($0.encoded.utf8) }) {
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        let response: HTTPClientResponse
        do {
            response = try await Self.client.execute(request, timeout: .seconds(60))
        } catch is ChannelError {
            // A server that answers without reading the body closes the connection, which may be noticed while sending.
            response = try await Self.client.execute(request, timeout: .seconds(60))
        }
        return Answer(
            status: Int(response.status.code), headers: response.headers,
            body: Data(buffer: try await response.body.collect(upTo: 1 << 20)))
    }

    /// Expects an error of this status, as described.
    private func expectRefusal(
        _ answer: Answer, _ statuses: Set<Int>, _ why: String, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        #expect(statuses.contains(answer.status), "\(operation) \(why): \(answer)", sourceLocation: sourceLocation)
        guard answer.status >= 400, operation.method != "HEAD", let json = JSON(parsing: answer.body) else { return }
        let faults = api.error.faults(of: json)
        #expect(faults == [], "\(operation) \(why): \(answer)", sourceLocation: sourceLocation)
    }

    func strangersAreTurnedAway() async throws {
        guard !operation.isOpen else { return }
        let foreign = try SwarmKeys(password: "another swarm's")
        let late = TokenClaims.admin(lifetime: .seconds(-3600))
        expectRefusal(try await send(token: .some(nil)), [401], "without a token")
        expectRefusal(try await send(token: "garbage"), [401], "with garbage for a token")
        expectRefusal(try await send(token: try foreign.sign(.admin())), [401], "with a foreign token")
        expectRefusal(try await send(token: try swarm.keys.sign(late)), [401], "with an expired token")
        // Where masters and slaves are is no secret to whoever has a token.
        if !["masters", "swarm"].contains(operation.id) {
            let elsewhere = try swarm.keys.sign(.user(path: try BrimPath(parsing: "/elsewhere")))
            expectRefusal(try await send(token: elsewhere), [403], "with a token for another path")
        }
        let changes =
            ["PUT", "POST", "DELETE", "PATCH"].contains(operation.method)
            && !["planReads", "verify", "testPolicy", "plan"].contains(operation.id)
        guard changes || operation.isForNodes else { return }
        expectRefusal(try await send(token: try swarm.keys.sign(.user(write: false))), [403], "with leave to read")
    }

    func wrongMethodsAreRefused(_ all: [OpenAPI.Operation]) async throws {
        var known = Set(all.filter { $0.path == operation.path }.map(\.method))
        if known.contains("GET") { known.insert("HEAD") }
        for method in ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "PROPFIND"]
        where !known.contains(method) {
            let answer = try await send(method)
            #expect(answer.status == 405, "\(method) \(operation.path): \(answer)")
            let allowed = answer.headers.first(name: "allow")?.components(separatedBy: ", ") ?? []
            #expect(Set(allowed) == known, "\(method) \(operation.path)")
        }
    }

    func wrongParametersAreRefused() async throws {
        for parameter in operation.parameters where parameter["in"]?.text == "query" {
            let name = parameter["name"]?.text ?? ""
            let schema = Schema(api, parameter["schema"] ?? .null)
            guard schema.faults(of: .string("nonsense")) != [] || name == "modified" || name == "attributes" else {
                continue
            }
            expectRefusal(try await send(query: "?\(name)=nonsense"), [400], "with \(name)=nonsense")
            expectRefusal(try await send(query: "?\(name)=%ff"), [400], "with \(name)=%ff")
        }
    }

    func wrongBodiesAreRefused() async throws {
        guard let body, let schema = api.body(of: operation) else { return }
        let garbage: [(String, Data)] = [
            ("nothing", Data()), ("no JSON", Data("nonsense".utf8)), ("half an object", Data("{\"a\":".utf8)),
            ("null", Data("null".utf8)), ("an array", Data("[]".utf8)), ("a number", Data("7".utf8)),
            ("bad UTF-8", Data([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])),
            ("deep nesting", Data(String(repeating: "[", count: 100_000).utf8)),
            ("deep members", Data(String(repeating: "{\"a\":", count: 20_000).utf8)),
        ]
        let isOptional = operation.json["requestBody"].map(api.resolve)?["required"]?.isTrue != true
        for (what, bytes) in garbage where !(isOptional && bytes.isEmpty) {
            expectRefusal(try await send(body: bytes), [400], "with \(what)")
        }
        let largest = operation.isForNodes && !operation.isOnSlave ? Limits.nodeBodyBytes : Limits.jsonBodyBytes
        let large = Data(repeating: UInt8(ascii: " "), count: largest + 1)
        do {
            expectRefusal(try await send(body: large), [413], "with a body that is too large")
        } catch is ChannelError {
            // Refused before it was sent: this client drops the answer when the connection closes under its sending.
        }
        for wrong in schema.wrongs(of: body) {
            expectRefusal(try await send(body: Data(wrong.value.encoded.utf8)), [400], "where \(wrong.why)")
        }
    }

    func rightUseIsAnsweredAsDescribed() async throws {
        let extra = body.map { Data(JSON.object($0.members.merging(["unheardOf": .number(1)]) { $1 }).encoded.utf8) }
        let answer = try await send(body: extra)
        #expect(answer.status < 500, "\(operation): \(answer)")
        let isForgery = operation.isForNodes || operation.method == "PUT" && operation.path.contains("{blob}")
        if !isForgery { #expect(answer.status < 400, "\(operation): \(answer)") }
        guard let schema = api.response(of: operation, status: answer.status) else {
            Issue.record("\(operation) answers \(answer.status), which is not described: \(answer)")
            return
        }
        guard operation.method != "HEAD", let json = JSON(parsing: answer.body) else { return }
        #expect(schema.faults(of: json) == [], "\(operation): \(answer)")
    }
}
