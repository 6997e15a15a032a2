import BrimModel
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import NIOHTTP1

/// The response to a request that failed: the one place where errors become HTTP. Rethrows errors of the HTTP parser,
/// for which the server itself answers and closes.
func errorResponse(_ error: any Error, to request: Request, logger: Logger) throws -> Response {
    if let error = error as? HTTPParserError { throw error }
    let failure = BrimError(rendering: error, of: request)
    switch failure.code {
    case .internal, .io, .corrupt:
        logger.error(
            "request failed", metadata: ["http.path": "\(request.uri.path)", "error": "\(error)"])
    default:
        logger.debug(
            "request failed", metadata: ["http.path": "\(request.uri.path)", "error": "\(failure)"])
    }
    var headers: HTTPFields = [:]
    switch failure.code {
    case .unauthorized: headers[.wwwAuthenticate] = "Bearer"
    case .unavailable: headers[.retryAfter] = "1"
    default: break
    }
    let response = try jsonResponse(failure, status: .init(code: failure.code.httpStatus), headers: headers)
    return request.method == .head ? response.createHeadResponse() : response
}

extension BrimError {
    /// What a client is told of an error thrown while its request was served.
    init(rendering error: any Error, of request: Request) {
        switch error {
        case let error as BrimError:
            self = error
        case let error as DecodingError:
            self = BrimError(decoding: error)
        case let error as HTTPError where error.status == .notFound && error.body == nil:
            self.init(.notFound, "there is no \(request.method) \(request.uri.path) here")
        case let error as HTTPError:
            self.init(Code(httpStatus: error.status.code), error.body ?? error.status.reasonPhrase.lowercased())
        case is NIOTooManyBytesError:
            self.init(.tooLarge, "the request's body is too large")
        case is CancellationError:
            self.init(.unavailable, "the server is shutting down", advice: "Try again, or another server")
        default:
            self.init(.internal, "the request failed for an unforeseen reason", advice: "See the server's log")
        }
    }

    /// Names the field of a JSON document that is missing or wrong.
    public init(decoding error: DecodingError) {
        func name(_ path: [any CodingKey]) -> String {
            path.isEmpty
                ? "the document"
                : "'\(path.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: "."))'"
        }
        let message =
            switch error {
            case .keyNotFound(let key, let context): "\(name(context.codingPath + [key])) is missing"
            case .valueNotFound(_, let context): "\(name(context.codingPath)) is null"
            case .typeMismatch(_, let context): "\(name(context.codingPath)) has the wrong type"
            case .dataCorrupted(let context):
                context.codingPath.isEmpty
                    ? "it is not valid JSON" : "\(name(context.codingPath)): \(context.debugDescription)"
            @unknown default: "it cannot be decoded"
            }
        self.init(.invalid, "the JSON is not as expected: \(message)")
    }
}
