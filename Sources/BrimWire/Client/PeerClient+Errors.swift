import AsyncHTTPClient
import BrimModel
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOPosix

extension PeerClient {
    /// `host:port` of a URL: all that messages and logs tell of it, since a query may hold a token.
    static func peer(of url: String) -> String {
        let rest = url.range(of: "://").map { url[$0.upperBound...] } ?? url[...]
        return String(rest.prefix { $0 != "/" && $0 != "?" })
    }

    /// The error that a peer answered.
    static func refusal(_ status: Int, _ body: ByteBuffer, peer: String) -> BrimError {
        if let error = try? BrimJSON.decoder().decode(BrimError.self, from: body) { return error }
        let reason = HTTPResponseStatus(statusCode: status).reasonPhrase
        return BrimError(BrimError.Code(httpStatus: status), "\(peer) answered \(status) \(reason)")
    }

    static func timeout(_ limit: Duration, of peer: String) -> BrimError {
        BrimError(.timeout, "\(peer) did not answer within \(DurationText.format(limit))")
    }

    /// Whether a request may be sent once more: it has no lasting effect the second time, and a kept connection seems
    /// to have been closed by the peer.
    static func mayRepeat(_ method: HTTPMethod, after error: any Error) -> Bool {
        guard [.GET, .HEAD, .PUT, .DELETE].contains(method), !Task.isCancelled else { return false }
        if let error = error as? HTTPClientError { return error == .remoteConnectionClosed }
        if let error = error as? IOError { return [ECONNRESET, EPIPE].contains(error.errnoCode) }
        return false
    }

    /// An error of the HTTP library in our words.
    static func describe(_ error: any Error, peer: String) -> any Error {
        let advice = "Check that it runs and that the address is right"
        func unreachable(_ why: String) -> BrimError {
            BrimError(.unavailable, "\(peer) cannot be reached: \(why)", advice: advice)
        }
        switch error {
        case is BrimError, is CancellationError: return error
        case let error as HTTPClientError:
            switch error {
            case .cancelled: return CancellationError()
            case .connectTimeout: return unreachable("no answer")
            case .deadlineExceeded, .readTimeout, .writeTimeout, .getConnectionFromPoolTimeout:
                return BrimError(.timeout, "\(peer) did not answer in time")
            case .remoteConnectionClosed: return BrimError(.unavailable, "\(peer) closed the connection")
            case .invalidURL, .emptyHost, .emptyScheme:
                return BrimError(.invalid, "'\(peer)' is not an address", advice: "Write http://HOST:PORT")
            case .bodyLengthMismatch:
                return BrimError(.invalid, "the body sent to \(peer) is not as long as announced")
            default: return BrimError(.unavailable, "the request to \(peer) failed: \(error.shortDescription)")
            }
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first { return describe(first.error, peer: peer) }
            return unreachable("the name '\(error.host)' is not known")
        case let error as IOError:
            return unreachable(String(cString: strerror(error.errnoCode)).lowercased())
        case is ChannelError: return unreachable("no answer")
        case is HTTPParserError: return BrimError(.unavailable, "\(peer) broke off or sent a malformed answer")
        case is NIOTooManyBytesError: return BrimError(.tooLarge, "the answer of \(peer) is too large")
        default: return BrimError(.unavailable, "the request to \(peer) failed: \(error)")
        }
    }
}
