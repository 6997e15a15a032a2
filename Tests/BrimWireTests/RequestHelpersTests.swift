import BrimModel
import BrimWire
import HTTPTypes
import Hummingbird
import NIOCore
import Testing

struct RequestHelpersTests {
    private func request(_ path: String, body: String = "") -> Request {
        Request(
            head: HTTPRequest(method: .get, scheme: "http", authority: "h", path: path),
            body: RequestBody(buffer: ByteBuffer(string: body)))
    }

    @Test(arguments: [
        ("/v1/files", "/"), ("/v1/files/", "/"), ("/v1/files/a", "/a"), ("/v1/files/a/", "/a"),
        ("/v1/files/a%20b/%C3%BC?x=/y", "/a b/ü"), ("/v1/files/%252e%252E", "/%2e%2E"), ("/v1/files/%2541", "/%41"),
        ("/v1/files/a+b", "/a+b"), ("/v1/files/...", "/..."), ("/v1/files/a%3Fb", "/a?b"), ("/v1/files/:x/*", "/:x/*"),
    ])
    func pathsAreDecodedOnce(url: String, expected: String) throws {
        #expect(try request(url).catchAllPath(after: "/v1/files").description == expected)
        #expect(try request(url).catchAllPath(after: "/v1/files/").description == expected)
    }

    @Test(arguments: [
        "/v1/files/a%2Fb", "/v1/files/..", "/v1/files/a/../b", "/v1/files/%2e%2e", "/v1/files/.", "/v1/files/a%00b",
        "/v1/files/%00", "/v1/files/%C3%28", "/v1/files/%ff", "/v1/files/a//b", "/v1/files//a", "/v1/files/a//",
        "/v1/files/%", "/v1/files/%4", "/v1/files/%zz", "/v1/filesx", "//v1/files/a", "/v1/list/a",
    ])
    func badPathsAreInvalid(url: String) {
        let error = #expect(throws: BrimError.self) { try request(url).catchAllPath(after: "/v1/files") }
        #expect(error?.code == .invalid)
    }

    @Test func longNamesAreInvalid() throws {
        let name = String(repeating: "n", count: 255)
        #expect(try request("/v1/files/" + name).catchAllPath(after: "/v1/files").name?.text == name)
        #expect(throws: BrimError.self) { try request("/v1/files/x" + name).catchAllPath(after: "/v1/files") }
    }

    @Test func queries() throws {
        let query = request(
            "/x?a=1&b=&c&d=%7B%22k%22%3A%22a+b%22%7D&a=2&e=a=b&f=%ff&n=-3&big=99999999999999999999&t=TRUE")
        #expect(try query.query("a") == "1")
        #expect(try query.query("b") == "")
        #expect(try query.query("c") == "")
        #expect(try query.query("d") == #"{"k":"a+b"}"#)
        #expect(try query.query("e") == "a=b")
        #expect(throws: BrimError.self) { try query.query("f") }
        #expect(try query.query("z") == nil)
        #expect(try request("/x").query("a") == nil)
        #expect(try query.queryInt("n") == -3)
        #expect(try query.queryInt("z") == nil)
        #expect(throws: BrimError.self) { try query.queryInt("big") }
        #expect(throws: BrimError.self) { try query.queryInt("b") }
        #expect(try query.queryBool("t") == true)
        #expect(try query.queryBool("c") == true)
        #expect(try query.queryBool("z") == nil)
        #expect(throws: BrimError.self) { try query.queryBool("n") }
        #expect(try request("/x?y=0").queryBool("y") == false)
    }

    private struct Thing: Codable {
        struct Inner: Codable { var names: [EntryName] }
        var count: Int
        var inner: Inner
    }

    @Test(arguments: [
        ("", "no body"), ("{", "not valid JSON"), ("[]", "the document"),
        (#"{"inner":{"names":[]}}"#, "'count' is missing"),
        (#"{"count":"x","inner":{"names":[]}}"#, "'count' has the wrong type"),
        (#"{"count":1,"inner":{"names":[1]}}"#, "'inner.names.0'"),
        (#"{"count":1,"inner":{"names":["a/b"]}}"#, "contains '/'"),
        (#"{"count":null,"inner":{"names":[]}}"#, "'count'"),
    ])
    func jsonErrorsNameTheField(text: String, message: String) async {
        let error = await #expect(throws: BrimError.self) { try await request("/", body: text).decodeJSON(Thing.self) }
        #expect(error?.code == .invalid)
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func jsonHasALimit() async throws {
        let text = #"{"count":1,"inner":{"names":[]}}"#
        #expect(try await request("/", body: text).decodeJSON(Thing.self, limit: text.utf8.count).count == 1)
        let error = await #expect(throws: BrimError.self) {
            try await request("/", body: text).decodeJSON(Thing.self, limit: text.utf8.count - 1)
        }
        #expect(error?.code == .tooLarge)
    }

    @Test func jsonResponsesAreSorted() throws {
        struct Pair: Encodable {
            var b = "a/b"
            var a = 1
        }
        let response = try jsonResponse(Pair(), status: .created, headers: [.eTag: "x"])
        #expect(response.status == .created)
        #expect(response.headers[.contentType] == "application/json")
        #expect(response.headers[.eTag] == "x")
        #expect(response.headers[.contentLength] == "\(#"{"a":1,"b":"a/b"}"#.utf8.count + 1)")
    }
}
