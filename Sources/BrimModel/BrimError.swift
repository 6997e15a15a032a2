/// What went wrong, in words that a person can act on and a program can tell apart.
///
/// Every daemon, the client library and the command line speak of failures with this one type; it travels over HTTP as
/// `{"code", "message", "advice", "retryable"}`.
public struct BrimError: Error, Sendable, Equatable, Codable {
    /// The kinds of failure that callers tell apart. The raw value is the `code` of `--json` and HTTP errors.
    public enum Code: String, Sendable, Codable, CaseIterable {
        /// A path component, argument, flag or body that can never be right as given.
        case invalid
        /// No password or token, or one that is wrong or expired.
        case unauthorized
        /// A valid token that does not allow this.
        case denied
        /// No such file, directory, server or blob.
        case notFound = "not_found"
        /// The name is taken.
        case exists
        /// A directory was needed.
        case notDirectory = "not_directory"
        /// A file was needed.
        case isDirectory = "is_directory"
        /// A directory still has entries.
        case notEmpty = "not_empty"
        /// `If-Match` or `If-None-Match` does not hold.
        case precondition
        /// Somebody else changed the same thing at the same time.
        case conflict
        /// This server was struck off the swarm's list for good, under this id.
        case forgotten
        /// Only the leading master does this, and this one does not lead; `leader` tells who does.
        case notLeader = "not_leader"
        /// The method or feature is not offered here.
        case unsupported
        /// A body, name or page beyond its limit.
        case tooLarge = "too_large"
        /// A `Range` outside the file.
        case range
        /// No room, after all copies that may be given up.
        case full
        /// A part of the swarm (master, slave, MongoDB) does not answer or is not ready.
        case unavailable
        /// No answer within the deadline.
        case timeout
        /// Bytes on disk or on the wire that do not match their checksum.
        case corrupt
        /// A local disk or file failed.
        case io
        /// A fault in BrimFS itself.
        case `internal`
    }

    public var code: Code
    /// What failed and why, without a full stop at the end.
    public var message: String
    /// What to do about it; nil when nothing helpful can be said.
    public var advice: String?
    /// Whether the same request may succeed later without a change by the caller.
    public var retryable: Bool
    /// With `.notLeader`: the URL of the master to ask instead.
    public var leader: String?

    public init(_ code: Code, _ message: String, advice: String? = nil, retryable: Bool? = nil) {
        self.code = code
        self.message = message
        self.advice = advice
        self.retryable = retryable ?? code.usuallyRetryable
    }
}

extension BrimError.Code {
    /// The HTTP status that carries this code.
    public var httpStatus: Int {
        switch self {
        case .invalid: 400
        case .unauthorized: 401
        case .denied: 403
        case .notFound: 404
        case .unsupported: 405
        case .exists, .notDirectory, .isDirectory, .notEmpty, .conflict: 409
        case .forgotten: 410
        case .precondition: 412
        case .tooLarge: 413
        case .range: 416
        case .notLeader: 421
        case .internal, .corrupt, .io: 500
        case .unavailable: 503
        case .timeout: 504
        case .full: 507
        }
    }

    /// The code to assume of a peer that answered with a bare status.
    public init(httpStatus: Int) {
        switch httpStatus {
        case 401: self = .unauthorized
        case 403: self = .denied
        case 404: self = .notFound
        case 405, 501: self = .unsupported
        case 409: self = .conflict
        case 412: self = .precondition
        case 413, 414, 431: self = .tooLarge
        case 416: self = .range
        case 421: self = .notLeader
        case 502, 503: self = .unavailable
        case 504: self = .timeout
        case 507: self = .full
        case 400..<500: self = .invalid
        default: self = .internal
        }
    }

    /// Whether waiting and asking again usually helps.
    public var usuallyRetryable: Bool {
        switch self {
        case .unavailable, .timeout, .conflict, .notLeader: true
        default: false
        }
    }
}

extension BrimError: CustomStringConvertible {
    /// `message. advice`, as the command line prints it.
    public var description: String {
        guard let advice else { return message }
        return "\(message). \(advice)"
    }
}
