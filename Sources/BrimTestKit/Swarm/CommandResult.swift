import BrimModel
import BrimWire
import Foundation

/// What a command left behind when it ended.
public struct CommandResult: Sendable, CustomStringConvertible {
    public var commandLine: String
    /// The exit status.
    public var status: Int32
    public var stdout: Data
    public var stderr: String

    /// Standard output without the line break at its end.
    public var text: String {
        var text = String(decoding: stdout, as: UTF8.self)
        if text.hasSuffix("\n") { text.removeLast() }
        return text
    }

    /// Standard output, decoded.
    public func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
        do {
            return try BrimJSON.decoder().decode(type, from: stdout)
        } catch {
            throw SwarmFailure("not the JSON of \(type): \(error)\n\(self)")
        }
    }

    /// The error that `--json` wrote on standard error.
    public func error() throws -> BrimError {
        guard let line = stderr.split(separator: "\n").last,
            let error = try? BrimJSON.decoder().decode(BrimError.self, from: Data(line.utf8))
        else { throw SwarmFailure("no JSON error on standard error\n\(self)") }
        return error
    }

    public var description: String {
        "$ \(commandLine)\nstatus \(status)\nstdout: \(String(decoding: stdout.prefix(2000), as: UTF8.self))\nstderr: \(stderr.suffix(4000))"
    }
}

/// The answer to a request made with curl.
public struct CurlResult: Sendable {
    /// Of the last answer, after redirects.
    public var status: Int
    /// Of the last answer; names in lower case.
    public var headers: [String: String]
    /// How many redirects were followed.
    public var redirects: Int
    public var body: Data

    public var text: String { String(decoding: body, as: UTF8.self) }

    /// The body as the error object that every failed request is answered with.
    public func error() throws -> BrimError {
        guard let error = try? BrimJSON.decoder().decode(BrimError.self, from: body) else {
            throw SwarmFailure("status \(status) with a body that is no error object: \(text.prefix(1000))")
        }
        return error
    }
}
