import BrimModel
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOFoundationCompat

extension Request {
    /// The body as JSON. Throws `.invalid`, naming the field at fault, or `.tooLarge` beyond `limit` bytes.
    public func decodeJSON<T: Decodable>(_ type: T.Type, limit: Int = Limits.jsonBodyBytes) async throws -> T {
        let tooLarge = BrimError(
            .tooLarge, "the request's body has more than \(limit) bytes", advice: "Send less at once")
        if let announced = headers[.contentLength].flatMap(Int.init), announced > limit { throw tooLarge }
        let bytes: ByteBuffer
        do {
            bytes = try await body.collect(upTo: limit)
        } catch is NIOTooManyBytesError {
            throw tooLarge
        }
        guard bytes.readableBytes > 0 else { throw BrimError(.invalid, "the request has no body; JSON is needed") }
        do {
            return try BrimJSON.decoder().decode(type, from: bytes)
        } catch let error as DecodingError {
            throw BrimError(decoding: error)
        }
    }

    /// The path that follows a route's prefix (`/v1/files`) in the URL, each component decoded once. Throws `.invalid`.
    public func catchAllPath(after prefix: String) throws -> BrimPath {
        let path = uri.path
        var start = Substring(prefix)
        while start.hasSuffix("/") { start = start.dropLast() }
        let rest = path.utf8.dropFirst(start.utf8.count)
        guard path.utf8.starts(with: start.utf8), rest.isEmpty || rest.first == UInt8(ascii: "/") else {
            throw BrimError(.invalid, "the URL does not start with \(start)/", advice: "Leave out doubled slashes")
        }
        return try BrimPath(percentEncoded: Substring(rest))
    }

    /// The first value of a parameter of the query, percent-decoded; empty when it has none; nil when it is not there.
    /// A `+` is a plus. Throws `.invalid` for what is not UTF-8.
    public func query(_ name: String) throws -> String? {
        guard let query = uri.query else { return nil }
        let percent = UInt8(ascii: "%")
        for pair in query.utf8.split(separator: UInt8(ascii: "&")) {
            let key = pair.prefix { $0 != UInt8(ascii: "=") }
            let isWanted =
                key.contains(percent)
                ? (try? PercentEncoding.decode(key))?.elementsEqual(name.utf8) == true : key.elementsEqual(name.utf8)
            guard isWanted else { continue }
            let value = pair[key.endIndex...].dropFirst()
            guard value.contains(percent) else { return String(Substring(value)) }
            guard let bytes = try? PercentEncoding.decode(value), let text = String(validating: bytes, as: UTF8.self)
            else { throw BrimError(.invalid, "the parameter '\(name)' is not percent-encoded UTF-8") }
            return text
        }
        return nil
    }

    /// A whole number of the query; nil when it is not there. Throws `.invalid`.
    public func queryInt(_ name: String) throws -> Int? {
        guard let text = try query(name) else { return nil }
        guard let value = Int(text) else {
            throw BrimError(.invalid, "the parameter '\(name)' is '\(text.prefix(64))', not a whole number")
        }
        return value
    }

    /// How many entries a page shall have, by the query's `limit`; as many as it may when that is not there. Throws `.invalid`.
    public func pageLimit() throws -> Int {
        let limit = try queryInt("limit") ?? Limits.pageEntries
        guard (1...Limits.pageEntries).contains(limit) else {
            throw BrimError(.invalid, "limit is \(limit)", advice: "A page has 1 to \(Limits.pageEntries) entries")
        }
        return limit
    }

    /// A truth value of the query: `true`, `1` or no value, `false` or `0`; nil when it is not there. Throws `.invalid`.
    public func queryBool(_ name: String) throws -> Bool? {
        guard let text = try query(name) else { return nil }
        switch text.lowercased() {
        case "", "true", "1": return true
        case "false", "0": return false
        default:
            throw BrimError(.invalid, "the parameter '\(name)' is '\(text.prefix(64))', neither true nor false")
        }
    }
}

/// What of these is one page: attributes may be large, and a page that has many of them is a shorter one.
public func cutPage<Item>(_ found: [Item], attributes: (Item) -> Int) -> ArraySlice<Item> {
    var bytes = 0
    for (index, item) in found.enumerated() {
        // Were they as long as they may be.
        bytes += attributes(item) * 2 * Limits.attributeBytes
        if bytes > Limits.pageAttributeBytes { return found[...index] }
    }
    return found[...]
}

/// Throws `.tooLarge` for more files than one request may name.
public func checkBatch(_ count: Int) throws {
    guard count <= Limits.requestFiles else {
        throw BrimError(
            .tooLarge, "\(count) files in one request", advice: "Ask for at most \(Limits.requestFiles) at a time")
    }
}

/// A response of JSON with sorted keys and a newline at its end.
public func jsonResponse(
    _ value: some Encodable, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
) throws -> Response {
    var bytes = ByteBuffer()
    do {
        bytes.writeBytes(try BrimJSON.encoder().encode(value))
    } catch {
        throw BrimError(.internal, "a reply cannot be encoded: \(error)")
    }
    bytes.writeInteger(UInt8(ascii: "\n"))
    var headers = headers
    headers[.contentType] = "application/json"
    return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: bytes))
}
