import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird
import NIOHTTP1
import Testing

/// Who may do what: every kind of token against every kind of route.
@Suite(.timeLimit(.minutes(10)))
struct AuthorizationTests {
    private static func routes(_ router: Router<BrimRequestContext>) {
        router.get("/open") { _, context in try jsonResponse([context.caller?.subject ?? "nobody"]) }
        router.get("/node") { _, context in try jsonResponse([try context.requireNode().subject]) }
        router.get("/admin") { _, context in
            try context.requireAdmin()
            return try jsonResponse(["admin"])
        }
        router.onTree("/read", method: .get) { request, context in
            try context.requireRead(try request.catchAllPath(after: "/read"))
            return try jsonResponse(["read"])
        }
        router.onTree("/write", method: .get) { request, context in
            try context.requireWrite(try request.catchAllPath(after: "/write"))
            return try jsonResponse(["write"])
        }
    }

    @Test func everyRoleOnEveryRoute() async throws {
        let keys = try SwarmKeys(password: "secret")
        let other = try SwarmKeys(password: "other")
        let tree = try BrimPath(parsing: "/home/joe")
        let grant = ReadGrant(blob: try SwarmKeysTests.grant().blob, version: 1, name: "x")
        let tokens: [(String, String?)] = [
            ("none", nil), ("node", try keys.sign(.node(name: "alpha"))), ("admin", try keys.sign(.admin())),
            ("user", try keys.sign(.user())), ("reader", try keys.sign(.user(write: false))),
            ("writer", try keys.sign(.user(read: false))), ("joe", try keys.sign(.user(path: tree))),
            ("blob", try keys.sign(.read(grant))), ("foreign", try other.sign(.admin())),
            ("expired", try keys.sign(.admin(lifetime: .seconds(-3600)))), ("empty", ""),
        ]
        let paths = [
            "/open", "/node", "/admin", "/read/x", "/write/x", "/read/home/joe/x", "/write/home/joe", "/read/home/joey",
        ]
        // Statuses in the order of `paths`.
        let expected: [String: [Int]] = [
            "none": [200, 401, 401, 401, 401, 401, 401, 401],
            "node": [200, 200, 200, 200, 200, 200, 200, 200],
            "admin": [200, 403, 200, 200, 200, 200, 200, 200],
            "user": [200, 403, 403, 200, 200, 200, 200, 200],
            "reader": [200, 403, 403, 200, 403, 200, 403, 200],
            "writer": [200, 403, 403, 403, 200, 403, 200, 403],
            "joe": [200, 403, 403, 403, 403, 200, 200, 403],
            "blob": [200, 403, 403, 403, 403, 403, 403, 403],
            "foreign": [401, 401, 401, 401, 401, 401, 401, 401],
            "expired": [401, 401, 401, 401, 401, 401, 401, 401],
            "empty": [401, 401, 401, 401, 401, 401, 401, 401],
        ]
        try await withServer(keys: keys, routes: Self.routes) { url, _ in
            try await withClient { client in
                for (name, token) in tokens {
                    for inQuery in [false, true] {
                        var statuses: [Int] = []
                        for path in paths {
                            let address = url + path + (inQuery ? token.map { "?token=\($0)" } ?? "" : "")
                            do {
                                _ = try await client.call(
                                    .GET, address, token: inQuery ? nil : token, as: [String].self)
                                statuses.append(200)
                            } catch let error as BrimError {
                                statuses.append(error.code.httpStatus)
                            }
                        }
                        #expect(statuses == expected[name], "\(name), in the query: \(inQuery)")
                    }
                }
                // A redirect's own token wins over a header that was meant for the place it came from.
                let admin = try keys.sign(.admin(subject: "anna"))
                let both = try await client.call(
                    .GET, url + "/open?token=\(admin)", token: try keys.sign(.user()), as: [String].self)
                #expect(both == ["anna"])
                await #expect(throws: BrimError.self) {
                    try await client.call(.GET, url + "/unknown", token: "bad", as: Empty.self)
                }
            }
        }
    }

    @Test func otherSchemesAreRefused() async throws {
        try await withServer(routes: Self.routes) { _, port in
            try await RawConnection.open(port: port) { connection in
                try await connection.send("GET /open HTTP/1.1\r\nHost: h\r\nAuthorization: Basic eDp5\r\n\r\n")
                let head = try await connection.receive(until: "\r\n\r\n")
                #expect(head.hasPrefix("HTTP/1.1 401"))
                #expect(head.contains("WWW-Authenticate: Bearer"))
            }
        }
    }
}
