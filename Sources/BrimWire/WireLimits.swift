import BrimModel

/// Bounds of connections and requests, with their units.
public enum WireLimits {
    /// Bytes of a request's line and headers together: a write token holds a path and attributes.
    public static let headerBytes = 256 * 1024
    /// Header fields of one request.
    public static let headerFields = 200
    /// A connection on which no part of a request arrives for this long is closed.
    public static let serverIdleSeconds: Int64 = 30
    /// A client that takes none of its response for this long is cut off.
    public static let stalledResponseSeconds: Int64 = 120
    /// How long a connection whose request was not read to its end stays open after the response, so that the peer sees
    /// the response and not a reset.
    public static let lingerSeconds: Int64 = 2
    /// Bytes of such a request that are read and dropped meanwhile.
    public static let lingerBytes = 16 << 20
    /// Bytes that are read from a connection at once.
    public static let readBytes = 512 * 1024
    /// Connections one server holds at a time; more wait in the backlog.
    public static let connections = 16_384
    /// Connections waiting to be accepted.
    public static let backlog = 1024
    /// How long requests under way may take once a shutdown has begun.
    public static let shutdownSeconds: Int64 = 8
    /// Ports tried, the first included, when the wanted one is taken.
    public static let portsTried = 100
    /// Verified tokens remembered; a kilobyte or so each.
    public static let cachedTokens = 4096
    /// Tokens remembered that a master has given to writers.
    public static let grantedTokens = 1024
    /// Connections to one host that a client keeps.
    public static let connectionsPerHost = 128
    /// An unused connection of a client is closed after this long: sooner than the server would.
    public static let clientIdleSeconds: Int64 = 20
    /// A client gives up connecting after this long.
    public static let connectMilliseconds: Int64 = 2000
    /// Bytes of a reply that is decoded as a whole.
    public static let replyBytes = 64 << 20
    /// Bytes of an error's body that are looked at.
    public static let errorBytes = 64 * 1024
}
