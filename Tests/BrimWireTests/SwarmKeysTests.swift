import BrimModel
import Crypto
import Foundation
import Synchronization
import Testing

@testable import BrimWire

struct SwarmKeysTests {
    static func grant() throws -> WriteGrant {
        WriteGrant(
            request: "r1", blob: try #require(BlobID("0123456789abcdef01234567")), parent: .root,
            name: try EntryName("ünï"), path: "/ünï", size: 7,
            targets: [Peer(server: try ServerName(validating: "alpha"), address: "h:4243")], mode: 0o644, modified: nil,
            n: 3, attributes: ["popularity": .int(7)], ifMatch: .version(4), master: "http://h:4242")
    }

    @Test func aTokenSaysWhatWasSigned() throws {
        let keys = try SwarmKeys(password: "secret")
        let read = ReadGrant(blob: try Self.grant().blob, version: 2, name: "x")
        let all: [TokenClaims] = [
            .node(name: "alpha"), .admin(), .user(subject: "joe", path: try BrimPath(parsing: "/a b/c"), write: false),
            .read(read), .write(try Self.grant()),
        ]
        for claims in all {
            let token = try keys.sign(claims)
            #expect(try keys.verify(token) == claims)
            #expect(try keys.verify(token) == claims, "from the cache")
            #expect(token.utf8.allSatisfy { $0 > 32 && $0 < 127 && !"+/=%&?#".utf8.contains($0) }, "fit for a URL")
        }
    }

    @Test func sameForTheSamePasswordOnly() throws {
        let token = try SwarmKeys(password: "secret").sign(.admin())
        #expect(try SwarmKeys(password: "secret").verify(token).role == .admin)
        #expect(try SwarmKeys(password: "secret").proof == SwarmKeys(password: "secret").proof)
        #expect(try SwarmKeys(password: "secret").proof != SwarmKeys(password: "Secret").proof)
        let error = #expect(throws: BrimError.self) { try SwarmKeys(password: "Secret").verify(token) }
        #expect(error?.code == .unauthorized)
        #expect(error?.message.contains("password") == true)
        #expect(#expect(throws: BrimError.self) { try SwarmKeys(password: "") }?.code == .invalid)
    }

    /// Every daemon and command of every build must derive these.
    @Test func keysDoNotChangeFromVersionToVersion() throws {
        #expect(try SwarmKeys(password: "correct horse").proof == "d14e5a12478ae248d77a6fcc0d48872f")
    }

    @Test func expiryToleratesSkew() throws {
        let clock = Mutex<Int64>(1_000_000)
        let time = { @Sendable (now: Int64) in clock.withLock { $0 = now } }
        let keys = try SwarmKeys(password: "secret") { clock.withLock { $0 } }
        let token = try keys.sign(TokenClaims(subject: "joe", expires: 1_000_100, role: .admin))
        for now: Int64 in [1_000_000, 1_000_100, 1_000_160] {
            time(now)
            #expect(try keys.verify(token).subject == "joe")
        }
        time(1_000_161)
        let error = #expect(throws: BrimError.self) { try keys.verify(token) }
        #expect(error?.code == .unauthorized)
        #expect(error?.message.contains("'joe' expired at 1970-01-12T13:48:20Z") == true)
        // The clocks may be to blame.
        #expect(error?.message.contains("it is 1970-01-12T13:49:21Z by the clock") == true)
        #expect(error?.advice?.contains("clock") == true)
    }

    @Test func anyChangedByteIsNoticed() throws {
        let keys = try SwarmKeys(password: "secret")
        let token = try keys.sign(.user(subject: "joe", write: false))
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Random(seed: seed)
        for _ in 0..<300 {
            var bytes = Array(token.utf8)
            let index = Int.random(in: 0..<bytes.count, using: &random)
            let other = "ABCxyz019-_.".utf8.randomElement(using: &random)
            guard let other, other != bytes[index] else { continue }
            bytes[index] = other
            let changed = String(decoding: bytes, as: UTF8.self)
            // The last digits of base 64 may hold bits that stand for nothing.
            if let claims = try? keys.verify(changed) {
                #expect(claims.canWrite == false && claims.subject == "joe", "seed \(seed): \(changed)")
                #expect(index == bytes.count - 1 || bytes[index + 1] == UInt8(ascii: "."), "seed \(seed)")
            }
        }
    }

    @Test(arguments: ["", "x", "..", "a.b", "a.b.c", "a.b.c.d", "ü.ü.ü", String(repeating: "A", count: 100_000)])
    func garbageIsUnauthorized(text: String) throws {
        let keys = try SwarmKeys(password: "secret")
        #expect(#expect(throws: BrimError.self) { try keys.verify(text) }?.code == .unauthorized)
    }

    @Test func unsignedTokensAreRefused() throws {
        let keys = try SwarmKeys(password: "secret")
        let body = Base64URL.encode(try BrimJSON.encoder().encode(TokenClaims.admin()))
        for header in [#"{"alg":"none"}"#, #"{"alg":"none","typ":"JWT"}"#, #"{"alg":"RS256","typ":"JWT"}"#] {
            for signature in ["", "AAAA"] {
                let token = "\(Base64URL.encode(Data(header.utf8))).\(body).\(signature)"
                #expect(#expect(throws: BrimError.self) { try keys.verify(token) }?.code == .unauthorized)
            }
        }
    }

    @Test func nodeTokensAreRenewedInTime() throws {
        let clock = Mutex<Int64>(1_000_000)
        let keys = try SwarmKeys(password: "secret") { clock.withLock { $0 } }
        let first = try keys.nodeToken(name: "alpha")
        #expect(try keys.verify(first).role == .node)
        #expect(try keys.verify(first).subject == "alpha")
        clock.withLock { $0 += 1000 }
        #expect(try keys.nodeToken(name: "alpha") == first)
        #expect(try keys.nodeToken(name: "bravo") != first)
        clock.withLock { $0 += 1000 }
        let second = try keys.nodeToken(name: "alpha")
        #expect(second != first)
        #expect(try keys.verify(second).expires == 1_002_000 + 3600)
    }

    @Test func theCacheIsBounded() {
        var cache = TokenCache(limit: 100)
        for i in 0..<1000 {
            cache["t\(i)"] = .admin()
            #expect(cache.count <= 100)
        }
        #expect(cache["t999"] != nil)
        #expect(cache["t960"] != nil)
        #expect(cache["t0"] == nil)
    }

    @Test func base64URLRoundTrips() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = Random(seed: seed)
        for length in 0..<70 {
            let data = Data((0..<length).map { _ in UInt8.random(in: 0...255, using: &random) })
            #expect(Base64URL.decode(Base64URL.encode(data).utf8) == data, "seed \(seed)")
        }
        #expect(Base64URL.decode("AA=".utf8) == nil)
        #expect(Base64URL.decode("+A".utf8) == nil)
    }
}

/// SplitMix64: the same numbers for the same seed.
struct Random: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
