import BrimModel
import Configuration
import Foundation
import SystemPackage

/// What was set outside of the command line: `BRIM_*` variables, then settings files. Keys are the flags' names.
struct Settings: Sendable {
    private struct Layer: Sendable {
        /// For messages.
        var name: String
        var provider: any ConfigProvider
    }

    private let layers: [Layer]

    /// Reads the environment, `file` (which must exist), `~/.config/brim/brim.yaml` and `/etc/brim/brim.yaml`; the
    /// first to set something wins. Throws `.invalid` for a file that is not YAML.
    static func load(file: String?) async throws -> Settings {
        let environment = ProcessInfo.processInfo.environment
        var layers = [
            Layer(name: "the environment", provider: EnvironmentVariablesProvider().prefixKeys(with: "brim"))
        ]
        if let named = file ?? environment["BRIM_CONFIG"].flatMap({ $0.isEmpty ? nil : $0 }) {
            guard FileManager.default.fileExists(atPath: named) else {
                throw BrimError(.notFound, "the settings file '\(named)' does not exist")
            }
            try await add(named, to: &layers)
        }
        for usual in usualFiles(environment) where FileManager.default.fileExists(atPath: usual) {
            try await add(usual, to: &layers)
        }
        return Settings(layers: layers)
    }

    /// The value of a setting: the flag's if it was given, else what `parse` makes of the first text found; nil when
    /// nobody set it. Throws `.invalid`, naming the place.
    func value<Value>(_ key: String, flag: Value?, parse: (String) throws -> Value) throws -> Value? {
        if let flag { return flag }
        for layer in layers {
            guard let text = try Self.text(key, in: layer) else { continue }
            do {
                return try parse(text)
            } catch {
                throw BrimError(.invalid, "the setting '\(key)' of \(layer.name) is wrong: \(error)")
            }
        }
        return nil
    }

    /// As above, with a value for when nobody set it.
    func value<Value>(
        _ key: String, flag: Value?, default: @autoclosure () -> Value, parse: (String) throws -> Value
    ) throws -> Value {
        try value(key, flag: flag, parse: parse) ?? `default`()
    }

    /// A setting that is text.
    func text(_ key: String, flag: String?) throws -> String? { try value(key, flag: flag) { $0 } }

    /// The swarm's password: from the file a flag names, `BRIM_PASSWORD`, or the file that `BRIM_PASSWORD_FILE` or a
    /// settings file names; nil when none of them is set. Throws when the file cannot be read or is empty.
    func passwordIfSet(file: String?) throws -> String? {
        if file == nil, let password = ProcessInfo.processInfo.environment["BRIM_PASSWORD"], !password.isEmpty {
            return password
        }
        guard let path = try text("password-file", flag: file) else { return nil }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw BrimError(
                .unauthorized, "the password file '\(path)' cannot be read",
                advice: "See that --password-file or BRIM_PASSWORD_FILE names a file that you may read")
        }
        var password = String(decoding: data, as: UTF8.self)
        while password.last?.isNewline == true { password.removeLast() }
        guard !password.isEmpty else {
            throw BrimError(
                .unauthorized, "the password file '\(path)' is empty", advice: "Write the swarm's password into it")
        }
        return password
    }

    /// The swarm's password. Throws `.unauthorized` with the ways to give it when there is none.
    func password(file: String?) throws -> String {
        if let password = try passwordIfSet(file: file) { return password }
        throw BrimError(
            .unauthorized, "no swarm password is set",
            advice: "Set BRIM_PASSWORD, or name a file that holds it with --password-file or BRIM_PASSWORD_FILE")
    }

    private static func usualFiles(_ environment: [String: String]) -> [String] {
        let home =
            environment["XDG_CONFIG_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
            ?? environment["HOME"].map { $0 + "/.config" }
        return [home.map { $0 + "/brim/brim.yaml" }, "/etc/brim/brim.yaml"].compactMap { $0 }
    }

    private static func add(_ path: String, to layers: inout [Layer]) async throws {
        do {
            let text = try String(contentsOfFile: path, encoding: .utf8)
            // The YAML reader wants a mapping: a file of comments only is none.
            let isEmpty = text.split(separator: "\n").allSatisfy {
                let line = $0.drop { $0.isWhitespace }
                return line.isEmpty || line.hasPrefix("#")
            }
            guard !isEmpty else { return }
            layers.append(Layer(name: path, provider: try await FileProvider<YAMLSnapshot>(filePath: FilePath(path))))
        } catch {
            throw BrimError(
                .invalid, "the settings file '\(path)' cannot be read: \(Self.withoutFullStop("\(error)"))",
                advice: "It holds lines such as 'master: http://127.0.0.1:4242'")
        }
    }

    private static func withoutFullStop(_ text: String) -> String {
        text.hasSuffix(".") ? String(text.dropLast()) : text
    }

    private static func text(_ key: String, in layer: Layer) throws -> String? {
        let key = AbsoluteConfigKey([key])
        do {
            let text = try layer.provider.value(forKey: key, type: .string).value?.content
            guard case .string(let value) = text else { return nil }
            return value.isEmpty ? nil : value
        } catch {
            // A list in YAML reads as the same with commas.
            guard
                case .stringArray(let values) = try layer.provider.value(forKey: key, type: .stringArray).value?.content
            else { return nil }
            return values.joined(separator: ",")
        }
    }
}
