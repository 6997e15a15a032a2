import BrimModel

/// What a token says about its bearer. Its JSON keys are short, since tokens travel in URLs too.
public struct TokenClaims: Sendable, Codable, Hashable {
    public enum Role: String, Sendable, Codable {
        /// A master or a slave: may do everything.
        case node
        /// May do everything that people may do.
        case admin
        /// May read, write or both, below a path.
        case user
        /// May read or write one blob on a slave.
        case blob
    }

    /// Who, for logs.
    public var subject: String
    /// Seconds since 1970.
    public var expires: Int64
    public var role: Role
    /// Users only: the tree they may use; nil is all of it.
    public var path: BrimPath?
    /// Users only.
    public var canRead: Bool
    /// Users only.
    public var canWrite: Bool
    /// Blob tokens only: leave to read one blob.
    public var read: ReadGrant?
    /// Blob tokens only: leave to write one blob.
    public var write: WriteGrant?

    public init(
        subject: String, expires: Int64, role: Role, path: BrimPath? = nil, canRead: Bool = false,
        canWrite: Bool = false, read: ReadGrant? = nil, write: WriteGrant? = nil
    ) {
        self.subject = subject
        self.expires = expires
        self.role = role
        self.path = path
        self.canRead = canRead
        self.canWrite = canWrite
        self.read = read
        self.write = write
    }

    public static func node(name: String, lifetime: Duration = .seconds(3600)) -> TokenClaims {
        TokenClaims(subject: name, expires: expiry(lifetime), role: .node)
    }

    public static func admin(subject: String = "admin", lifetime: Duration = .seconds(3600)) -> TokenClaims {
        TokenClaims(subject: subject, expires: expiry(lifetime), role: .admin)
    }

    public static func user(
        subject: String = "user", path: BrimPath? = nil, read: Bool = true, write: Bool = true,
        lifetime: Duration = .seconds(3600)
    ) -> TokenClaims {
        TokenClaims(
            subject: subject, expires: expiry(lifetime), role: .user, path: path, canRead: read, canWrite: write)
    }

    public static func read(
        _ grant: ReadGrant, subject: String = "reader", lifetime: Duration = .seconds(3600), now: Timestamp = .now
    ) -> TokenClaims {
        TokenClaims(subject: subject, expires: expiry(lifetime, now), role: .blob, read: grant)
    }

    public static func write(
        _ grant: WriteGrant, subject: String = "writer", lifetime: Duration = .seconds(3600), now: Timestamp = .now
    ) -> TokenClaims {
        TokenClaims(subject: subject, expires: expiry(lifetime, now), role: .blob, write: grant)
    }

    /// Whether the bearer may read what is at a path.
    public func mayRead(_ path: BrimPath) -> Bool { may(canRead, path) }
    /// Whether the bearer may change what is at a path.
    public func mayWrite(_ path: BrimPath) -> Bool { may(canWrite, path) }

    private func may(_ allowed: Bool, _ path: BrimPath) -> Bool {
        switch role {
        case .node, .admin: true
        case .user: allowed && (self.path ?? .root).contains(path)
        case .blob: false
        }
    }

    private static func expiry(_ lifetime: Duration, _ now: Timestamp = .now) -> Int64 {
        now.seconds + lifetime.components.seconds
    }
}

extension TokenClaims {
    private enum CodingKeys: String, CodingKey {
        case subject = "sub"
        case expires = "exp"
        case role = "rol"
        case path = "pth"
        case canRead = "r"
        case canWrite = "w"
        case read = "rd"
        case write = "wr"
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        subject = try container.decode(String.self, forKey: .subject)
        expires = try container.decode(Int64.self, forKey: .expires)
        role = try container.decode(Role.self, forKey: .role)
        path = try container.decodeIfPresent(BrimPath.self, forKey: .path)
        canRead = try container.decodeIfPresent(Bool.self, forKey: .canRead) ?? false
        canWrite = try container.decodeIfPresent(Bool.self, forKey: .canWrite) ?? false
        read = try container.decodeIfPresent(ReadGrant.self, forKey: .read)
        write = try container.decodeIfPresent(WriteGrant.self, forKey: .write)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(subject, forKey: .subject)
        try container.encode(expires, forKey: .expires)
        try container.encode(role, forKey: .role)
        try container.encodeIfPresent(path, forKey: .path)
        if canRead { try container.encode(true, forKey: .canRead) }
        if canWrite { try container.encode(true, forKey: .canWrite) }
        try container.encodeIfPresent(read, forKey: .read)
        try container.encodeIfPresent(write, forKey: .write)
    }
}
