import BrimModel
import Hummingbird
import Logging
import NIOCore

/// What a route knows about a request besides the request itself: above all who asks.
public struct BrimRequestContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    /// What the request's token says; nil when there was none.
    public var caller: TokenClaims?
    /// The token itself. Never logged.
    public var token: String?
    /// The IP address the request came from; nil where there is no socket.
    public let remoteHost: String?

    public init(source: ApplicationRequestContextSource) {
        coreContext = CoreRequestContextStorage(source: source)
        remoteHost = source.channel.remoteAddress?.ipAddress
    }

    /// Lets masters and slaves through. Throws `.unauthorized` without a token, `.denied` with another role.
    @discardableResult
    public func requireNode() throws -> TokenClaims {
        try require("a node's token") { $0.role == .node }
    }

    /// Lets through whoever has a token. Throws `.unauthorized`.
    public func requireCaller() throws {
        try require("any valid token") { _ in true }
    }

    /// Lets through who may read anything, or write: all but tokens for one blob. Throws `.unauthorized` or `.denied`.
    public func requireReader() throws {
        try require("a token for files") { $0.role != .blob }
    }

    /// Lets administrators and nodes through. Throws `.unauthorized` or `.denied`.
    @discardableResult
    public func requireAdmin() throws -> TokenClaims {
        try require("an admin token") { $0.role == .admin || $0.role == .node }
    }

    /// Lets through who may read at a path. Throws `.unauthorized` or `.denied`.
    public func requireRead(_ path: BrimPath) throws {
        try require("leave to read \(path)") { $0.mayRead(path) }
    }

    /// Lets through who may change what is at a path. Throws `.unauthorized` or `.denied`.
    public func requireWrite(_ path: BrimPath) throws {
        try require("leave to write \(path)") { $0.mayWrite(path) }
    }

    @discardableResult
    private func require(_ need: String, _ allows: (TokenClaims) -> Bool) throws -> TokenClaims {
        guard let caller else {
            logger.info("request without a token refused", metadata: ["needs": "\(need)"])
            throw BrimError(
                .unauthorized, "this needs a token: \(need)",
                advice: "Send 'Authorization: Bearer TOKEN'; make one with 'brim token'")
        }
        guard allows(caller) else {
            logger.info(
                "request refused",
                metadata: [
                    "caller.subject": "\(caller.subject)", "caller.role": "\(caller.role.rawValue)", "needs": "\(need)",
                ])
            throw BrimError(.denied, "the token of '\(caller.subject)' does not allow this: it needs \(need)")
        }
        return caller
    }
}
