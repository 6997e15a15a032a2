import BrimModel
import BrimWire
import Testing

struct AddressTests {
    @Test(arguments: [
        ("h:1", "h:1"), ("h", "h:4242"), (":7", "0.0.0.0:7"), ("7", "0.0.0.0:7"), ("", "0.0.0.0:4242"),
        ("[::1]:7", "[::1]:7"), ("[::1]", "[::1]:4242"), ("10.0.0.1", "10.0.0.1:4242"), ("h:0", "h:0"),
        ("h:65535", "h:65535"),
    ])
    func parses(text: String, expected: String) throws {
        let address = try HostPort(parsing: text, defaultHost: "0.0.0.0", defaultPort: 4242)
        #expect(address.description == expected)
        #expect(try HostPort(parsing: address.description, defaultHost: "?", defaultPort: 1) == address)
    }

    @Test(arguments: ["h:", "h:65536", "h:x", "h:-1", "::1", "[::1", "[::1]7", "a/b:1", "a b:1", "a,b"])
    func refuses(text: String) {
        let error = #expect(throws: BrimError.self) {
            try HostPort(parsing: text, defaultHost: "0.0.0.0", defaultPort: 4242)
        }
        #expect(error?.code == .invalid)
    }

    @Test(arguments: [
        ("h", ["http://h:4242"]), ("http://h:1,h2", ["http://h:1", "http://h2:4242"]),
        ("http://h/, h:4242/ ,HTTP://h", ["http://h:4242"]), ("[::1]", ["http://[::1]:4242"]),
        ("4242", []), ("", []), (",", []), ("https://h", []), ("http://", []), ("http://h/x", []), ("h:0", []),
    ])
    func masters(text: String, expected: [String]) throws {
        if expected.isEmpty {
            #expect(#expect(throws: BrimError.self) { try masterURLs(parsing: text) }?.code == .invalid)
        } else {
            #expect(try masterURLs(parsing: text) == expected)
        }
    }

    @Test func httpDates() {
        #expect(HTTPDate.format(Timestamp(seconds: 784_111_777, nanoseconds: 9)) == "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(HTTPDate.now.hasSuffix(" GMT"))
    }
}
