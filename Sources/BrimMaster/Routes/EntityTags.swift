import BrimModel
import BrimWire
import Foundation
import HTTPTypes
import Hummingbird

/// The value of `If-Match` or `If-None-Match`: `*` or entity tags. A version alone, `"3"` or `3`, stands for every blob
/// with that version.
struct EntityTags: Sendable {
    private let tags: [String]

    init(_ header: String) {
        tags = header.split(separator: ",").map { tag in
            let text = tag.trimmingCharacters(in: .whitespaces)
            return (text.hasPrefix("W/") ? String(text.dropFirst(2)) : text).filter { $0 != "\"" }
        }
    }

    var isAny: Bool { tags == ["*"] }

    /// Whether one of them names this entity tag (with its quotes).
    func match(_ entityTag: String) -> Bool {
        let bare = entityTag.filter { $0 != "\"" }
        let version = bare.prefix { $0 != "-" }
        return isAny || tags.contains { $0 == bare || $0 == version }
    }

    /// The one version named, if that is all that is named.
    var version: Int64? {
        guard tags.count == 1, let tag = tags.first else { return nil }
        return Int64(tag.prefix { $0 != "-" })
    }
}

extension IfMatch {
    /// What the request's `If-Match` and `If-None-Match` ask of the file to be written. Throws `.invalid`.
    init(_ headers: HTTPFields) throws {
        if let text = headers[.ifMatch] {
            let tags = EntityTags(text)
            guard let version = tags.version else {
                guard tags.isAny else {
                    throw BrimError(.invalid, "If-Match is '\(text)'", advice: "Give * or one version, like \"3\"")
                }
                self = .present
                return
            }
            self = .version(version)
        } else if let text = headers[.ifNoneMatch] {
            guard EntityTags(text).isAny else {
                throw BrimError(.invalid, "If-None-Match is '\(text)'", advice: "Only * is possible when writing")
            }
            self = .absent
        } else {
            self = .anything
        }
    }
}

extension Request {
    /// A query parameter in RFC 3339. Throws `.invalid`.
    func timestamp(_ name: String) throws -> Timestamp? {
        guard let text = try query(name) else { return nil }
        guard let time = Timestamp(text) else {
            throw BrimError(.invalid, "\(name) is '\(text)'", advice: "Write a time like 2026-11-22T18:40:00Z")
        }
        return time
    }

    /// A query parameter that is a JSON object of attributes. Throws `.invalid`.
    func attributes(_ name: String) throws -> [String: AttributeValue]? {
        guard let text = try query(name) else { return nil }
        do {
            return try BrimJSON.decoder().decode([String: AttributeValue].self, from: Data(text.utf8))
        } catch {
            throw BrimError(
                .invalid, "\(name) is not a JSON object of plain values", advice: "Write {\"popularity\":7}")
        }
    }
}
