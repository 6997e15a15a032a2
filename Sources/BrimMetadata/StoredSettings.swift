/// What is kept of a swarm's settings, as the text that people write.
public struct StoredSettings: Sendable, Hashable {
    /// Values by name; what is not there has its usual value.
    public var values: [String: String]
    /// The flags that a master last started with: one that differs from these sets its value.
    public var started: [String: String]

    public init(values: [String: String] = [:], started: [String: String] = [:]) {
        self.values = values
        self.started = started
    }
}

/// Values to be stored by name; nil removes one.
public struct SettingsChange: Sendable, Hashable {
    public var values: [String: String?]
    public var started: [String: String?]

    public init(values: [String: String?] = [:], started: [String: String?] = [:]) {
        self.values = values
        self.started = started
    }

    public var isEmpty: Bool { values.isEmpty && started.isEmpty }
}

extension StoredSettings {
    package mutating func apply(_ change: SettingsChange) {
        for (name, value) in change.values { values[name] = value }
        for (name, value) in change.started { started[name] = value }
    }
}

public protocol SettingsStore: Sendable {
    func settings() async throws -> StoredSettings

    /// Stores values, all at once, and returns what is stored then. Names have no dots and do not begin with `$`.
    func changeSettings(_ change: SettingsChange) async throws -> StoredSettings
}
