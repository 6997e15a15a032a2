import BrimModel
import Foundation

/// A host and a port, as in `--listen` and `--advertise`.
public struct HostPort: Sendable, Hashable, Codable, CustomStringConvertible {
    /// A name or an address; an IPv6 address is without its brackets.
    public var host: String
    /// 0–65535; 0 means any free port where something is to listen.
    public var port: Int

    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Parses `host:port`, `host`, `:port`, `port`, `[::1]:port` or `[::1]`; what is missing is taken from the
    /// defaults. Throws `.invalid`.
    public init(parsing text: String, defaultHost: String, defaultPort: Int) throws {
        func wrong(_ why: String) -> BrimError {
            BrimError(
                .invalid, "'\(text)' is not an address: \(why)", advice: "Write HOST:PORT, for example 0.0.0.0:4242")
        }
        var host = Substring(text)
        var port: Substring?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { throw wrong("']' is missing") }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { throw wrong("after ']' comes ':' and a port") }
            if !rest.isEmpty { port = rest.dropFirst() }
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
            guard port?.contains(":") == false else { throw wrong("an IPv6 address stands in brackets") }
        } else if !text.isEmpty, text.allSatisfy({ $0.isASCII && $0.isNumber }) {
            host = ""
            port = text[...]
        }
        guard !host.contains(where: { $0 == "/" || $0.isWhitespace || $0 == "," }) else {
            throw wrong("a host name has no such characters")
        }
        self.host = host.isEmpty ? defaultHost : String(host)
        guard let port else {
            self.port = defaultPort
            return
        }
        guard port.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(port), number <= 65535 else {
            throw wrong("a port is a number from 0 to 65535")
        }
        self.port = number
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// The port of a master when none is given.
public let defaultMasterPort = 4242
/// The port a slave tries first when none is given.
public let defaultSlavePort = 4243

/// The port of a member of the swarm's own replica set when none is given: MongoDB's usual one.
public let defaultMongodPort = 27017

/// Parses a list of members of the swarm's own replica set: `:27017` is added where missing, repetitions left out. Throws
/// `.invalid`, also for an empty list.
public func mongodMembers(parsing text: String) throws -> [HostPort] {
    var members: [HostPort] = []
    for piece in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
        let member = try HostPort(parsing: String(piece), defaultHost: "", defaultPort: defaultMongodPort)
        guard !member.host.isEmpty, member.port > 0 else {
            throw BrimError(.invalid, "'\(piece)' names no host", advice: "Write HOST[:\(defaultMongodPort)][,HOST…]")
        }
        if !members.contains(member) { members.append(member) }
    }
    guard !members.isEmpty else {
        throw BrimError(
            .invalid, "no member of the replica set is named", advice: "Write HOST[:\(defaultMongodPort)][,HOST…]")
    }
    return members
}

/// Parses a list of masters: `http://` and `:4242` are added where missing, trailing slashes dropped, repetitions left
/// out. Throws `.invalid`, also for an empty list.
public func masterURLs(parsing text: String) throws -> [String] {
    var urls: [String] = []
    for piece in text.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
        var rest = piece
        if let scheme = rest.range(of: "://") {
            guard rest[..<scheme.lowerBound].lowercased() == "http" else {
                throw BrimError(
                    .invalid, "'\(piece)' is not a master's URL", advice: "Write http://HOST:\(defaultMasterPort)")
            }
            rest = rest[scheme.upperBound...]
        }
        while rest.hasSuffix("/") { rest = rest.dropLast() }
        let address = try HostPort(parsing: String(rest), defaultHost: "", defaultPort: defaultMasterPort)
        guard !address.host.isEmpty, address.port > 0 else {
            throw BrimError(.invalid, "'\(piece)' names no host", advice: "Write http://HOST:\(defaultMasterPort)")
        }
        let url = "http://\(address)"
        if !urls.contains(url) { urls.append(url) }
    }
    guard !urls.isEmpty else {
        throw BrimError(.invalid, "no master is named", advice: "Write http://HOST:\(defaultMasterPort)[,URL…]")
    }
    return urls
}
