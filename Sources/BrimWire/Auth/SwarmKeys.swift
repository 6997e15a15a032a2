import BrimModel
import Crypto
import CryptoExtras
import Foundation
import Synchronization

/// The keys of a swarm, all derived from its password: scrypt (RFC 7914) once, then HKDF (RFC 5869) per purpose.
///
/// Tokens are JWTs (RFC 7519) signed with HS256. The salt is constant per format version, so that every part derives
/// the same keys from the password alone.
public final class SwarmKeys: Sendable {
    private static let salt = "BrimFS keys, version 1"
    /// `{"alg":"HS256","typ":"JWT"}`, the only header that is made or accepted.
    private static let header = Base64URL.encode(Data(#"{"alg":"HS256","typ":"JWT"}"#.utf8))

    /// Lets a database recognise a swarm that was started with another password; reveals nothing of it. Hex.
    public let proof: String
    /// What the members of a replica set of the swarm's own know each other by (a mongod's key file), and the password of the
    /// masters' user there. Both hex.
    public let mongodKey: String
    public let mongodPassword: String

    /// Seals backups of the metadata: 32 bytes. Never told to anybody.
    public let backupKey: [UInt8]

    private let tokenKey: SymmetricKey
    private let seconds: @Sendable () -> Int64
    private let verified = Mutex(TokenCache(limit: WireLimits.cachedTokens))
    /// Leave to write that was given here, and soon comes back to be committed.
    private let granted = Mutex(TokenCache(limit: WireLimits.grantedTokens))
    private let nodeTokens = Mutex<[String: (token: String, expires: Int64)]>([:])

    /// Derives the keys; takes some tens of milliseconds. Throws `.invalid` for an empty password.
    public convenience init(password: String) throws {
        try self.init(password: password) { Timestamp.now.seconds }
    }

    /// `seconds` is the clock that expiries are checked against, since 1970.
    package init(password: String, seconds: @escaping @Sendable () -> Int64) throws {
        guard !password.isEmpty else {
            throw BrimError(.invalid, "the swarm password is empty", advice: "Set BRIM_PASSWORD or BRIM_PASSWORD_FILE")
        }
        let root: SymmetricKey
        do {
            root = try KDF.Scrypt.deriveKey(
                from: Array(password.utf8), salt: Array(Self.salt.utf8), outputByteCount: 32, rounds: 1 << 13,
                blockSize: 8, parallelism: 1)
        } catch {
            throw BrimError(.internal, "keys cannot be derived from the password: \(error)")
        }
        func derive(_ purpose: String, bytes: Int) -> SymmetricKey {
            HKDF<SHA256>.deriveKey(inputKeyMaterial: root, info: Array(purpose.utf8), outputByteCount: bytes)
        }
        tokenKey = derive("brim token", bytes: 32)
        backupKey = derive("brim backup", bytes: 32).withUnsafeBytes { Array($0) }
        func hex(_ purpose: String, bytes: Int) -> String {
            derive(purpose, bytes: bytes).withUnsafeBytes { bytes in
                bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            }
        }
        proof = hex("brim proof", bytes: 16)
        mongodKey = hex("brim mongod key", bytes: 48)
        mongodPassword = hex("brim mongod password", bytes: 24)
        self.seconds = seconds
    }

    private init(_ keys: SwarmKeys, seconds: @escaping @Sendable () -> Int64) {
        (proof, mongodKey, mongodPassword) = (keys.proof, keys.mongodKey, keys.mongodPassword)
        (backupKey, tokenKey) = (keys.backupKey, keys.tokenKey)
        self.seconds = seconds
    }

    /// The same keys with another clock, by which expiries are checked, and tokens of nodes made.
    package func by(_ clock: any BrimClock) -> SwarmKeys { SwarmKeys(self) { clock.timestamp.seconds } }

    /// A signed token that says this.
    public func sign(_ claims: TokenClaims) throws -> String {
        let body: Data
        do {
            body = try BrimJSON.encoder().encode(claims)
        } catch {
            throw BrimError(.internal, "a token cannot be encoded: \(error)")
        }
        let text = "\(Self.header).\(Base64URL.encode(body))"
        let signature = HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: tokenKey)
        let token = "\(text).\(Base64URL.encode(Array(signature)))"
        if claims.write != nil { granted.withLock { $0[token] = claims } }
        return token
    }

    /// What a token says, after its signature and its expiry (± `Limits.clockSkewSeconds`) were checked. Throws
    /// `.unauthorized` with the reason.
    public func verify(_ token: String) throws -> TokenClaims {
        let claims: TokenClaims
        if let known = verified.withLock({ $0[token] }) ?? granted.withLock({ $0[token] }) {
            claims = known
        } else {
            claims = try check(token)
            // Leave to write is shown to each slave once, and there may be thousands a second.
            if claims.write == nil { verified.withLock { $0[token] = claims } }
        }
        let now = seconds()
        guard now <= claims.expires + Int64(Limits.clockSkewSeconds) else {
            let times = [claims.expires, now].map { "\(Timestamp(seconds: $0, nanoseconds: 0))" }
            throw BrimError(
                .unauthorized,
                "the token of '\(claims.subject)' expired at \(times[0]); it is \(times[1]) by the clock of who was asked",
                advice: "Make a new one with 'brim token'. If it was just made, one of the two machines' clocks is "
                    + "wrong: set it")
        }
        return claims
    }

    /// A token for a master or slave of this name; the same one for about half of its hour.
    public func nodeToken(name: String) throws -> String {
        let now = seconds()
        if let known = nodeTokens.withLock({ $0[name] }), known.expires - now > 1800 { return known.token }
        let claims = TokenClaims(subject: name, expires: now + 3600, role: .node)
        let token = try sign(claims)
        nodeTokens.withLock { $0[name] = (token, claims.expires) }
        return token
    }

    private func check(_ token: String) throws -> TokenClaims {
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let body = Base64URL.decode(parts[1]), let signature = Base64URL.decode(parts[2]) else {
            throw Self.refusal("the token is malformed")
        }
        guard parts[0].elementsEqual(Self.header.utf8) else { throw Self.refusal("the token is not signed with HS256") }
        let signed = Data(token.utf8.prefix(parts[0].count + 1 + parts[1].count))
        guard HMAC<SHA256>.isValidAuthenticationCode(signature, authenticating: signed, using: tokenKey) else {
            throw BrimError(
                .unauthorized, "the token was not made with this swarm's password",
                advice: "Check BRIM_PASSWORD or BRIM_PASSWORD_FILE")
        }
        do {
            return try BrimJSON.decoder().decode(TokenClaims.self, from: body)
        } catch {
            throw Self.refusal("the token's content is not understood")
        }
    }

    private static func refusal(_ message: String) -> BrimError {
        BrimError(.unauthorized, message, advice: "Make a new one with 'brim token'")
    }
}
