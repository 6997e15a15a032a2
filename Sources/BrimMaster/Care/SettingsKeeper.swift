import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle

/// Keeps this master's settings as they are stored, and stores what people change.
///
/// Stored are only values that somebody set, as text. A flag of a master counts as such: one that differs from what a
/// master last started with sets its value, as `--quota` does on a slave; the same flag leaves what was set since; and a
/// flag that is left out takes its value with it, unless that was changed since.
actor SettingsKeeper: BackgroundLoop {
    /// How soon a change made elsewhere is followed.
    static let interval = Duration.seconds(2)
    /// The name under which the state of the breaker is stored, beside the settings.
    static let breaker = "breaker"

    /// Settings whose change may move any copy.
    private static let moving: Set<SwarmSetting> = [.copies, .maxCopies, .floor, .headroom]

    nonisolated let worker = Worker("settings", unit: "changes")
    private let store: any MetadataStore
    private let settings: LiveSettings
    private let guardian: EvictionGuard
    private let follow: @Sendable (SwarmSettings) async -> Void
    private let clock: any BrimClock
    private let logger: Logger
    private var last: StoredSettings

    /// `follow` is told of each change.
    init(
        store: any MetadataStore, settings: LiveSettings, stored: StoredSettings, guardian: EvictionGuard,
        clock: any BrimClock = SystemClock(), logger: Logger,
        follow: @escaping @Sendable (SwarmSettings) async -> Void
    ) {
        self.store = store
        self.settings = settings
        self.guardian = guardian
        self.follow = follow
        self.clock = clock
        self.logger = logger
        last = stored
    }

    /// Enters the flags that a master was started with; gives what is stored then, and what it comes to. Throws
    /// `.invalid` when the flags do not go together with what is stored.
    static func begin(
        _ store: any MetadataStore, given: [SwarmSetting: String]
    ) async throws -> (stored: StoredSettings, settings: SwarmSettings) {
        var stored = try await store.settings()
        let change = Self.change(of: stored, given: given)
        stored.apply(change)
        let settings: SwarmSettings
        do {
            settings = try Self.read(stored)
        } catch let error as BrimError {
            throw BrimError(
                error.code, "the settings in the database and this master's flags do not fit: \(error.message)",
                advice: "Leave the flag out, or give all that belong together")
        }
        return (try await store.changeSettings(change), settings)
    }

    static func change(of stored: StoredSettings, given: [SwarmSetting: String]) -> SettingsChange {
        var change = SettingsChange()
        for setting in SwarmSetting.allCases {
            let name = setting.rawValue
            let (before, now) = (stored.started[name], given[setting])
            guard before != now else { continue }
            change.started[name] = .some(now)
            if let now {
                change.values[name] = .some(now)
            } else if stored.values[name] == before {
                change.values[name] = .some(nil)
            }
        }
        return change
    }

    /// What stored values come to. Names that this version does not know are left alone.
    static func read(_ stored: StoredSettings) throws -> SwarmSettings {
        var values: [SwarmSetting: String] = [:]
        for (name, text) in stored.values { if let setting = SwarmSetting(rawValue: name) { values[setting] = text } }
        return try SwarmSettings().changed(values)
    }

    func run() async throws {
        repeat {
            do {
                try await take(try await store.settings())
                worker.rests(atMost: Self.interval)
            } catch {
                worker.failed(error, again: Self.interval)
                logger.debug("settings cannot be read", metadata: ["error": "\(error)"])
            }
        } while await clock.pause(Self.interval)
    }

    /// All settings, for people.
    func all() -> SettingsReply {
        let (now, usual) = (settings.current, SwarmSettings())
        return SettingsReply(
            settings: SwarmSetting.allCases.map { setting in
                SettingsReply.Item(
                    name: setting.rawValue, value: setting.text(in: now), usual: setting.text(in: usual),
                    range: setting.range, meaning: setting.meaning)
            } + [
                SettingsReply.Item(
                    name: Self.breaker, value: guardian.isOpen ? "open" : "closed", usual: "closed", range: "reset",
                    meaning: "whether copies are given up only for a known cause")
            ])
    }

    /// Stores new values; nil sets the usual one again. Throws `.invalid` for a name or value that is none.
    func change(_ request: SettingsRequest) async throws -> SettingsReply {
        var change = SettingsChange()
        var stored = try await store.settings()
        for (name, text) in request.values {
            if name == Self.breaker {
                guard text == "reset" || text == nil else {
                    throw BrimError(.invalid, "breaker cannot be '\(text ?? "")'", advice: "Give reset")
                }
                change.values[name] = .some(nil)
                continue
            }
            let setting = try SwarmSetting(named: name)
            guard let text else {
                change.values[name] = .some(nil)
                continue
            }
            var scratch = SwarmSettings()
            try setting.set(text, in: &scratch)
            change.values[name] = setting.text(in: scratch)
        }
        stored.apply(change)
        _ = try Self.read(stored)
        try await take(try await store.changeSettings(change))
        return all()
    }

    /// Follows what is stored.
    private func take(_ stored: StoredSettings) async throws {
        try await guardian.follow(stored.values[Self.breaker])
        guard stored != last else { return }
        let new = try Self.read(stored)
        last = stored
        guard new != settings.current else { return }
        for setting in SwarmSetting.allCases {
            let (before, now) = (setting.text(in: settings.current), setting.text(in: new))
            guard before != now else { continue }
            if Self.moving.contains(setting) { guardian.explainAll() }
            logger.notice(
                "a setting changed", metadata: ["setting": "\(setting.rawValue)", "from": "\(before)", "to": "\(now)"])
            worker.did(1)
        }
        settings.current = new
        guardian.setLimits(new)
        await follow(new)
    }
}
