/// One of the settings of a swarm that can be changed while it runs, by the name that people know it by.
public enum SwarmSetting: String, Sendable, CaseIterable {
    case copies
    case writeCopies = "write-copies"
    case maxCopies = "max-copies"
    case floor
    case headroom
    case heartbeat
    case suspectAfter = "suspect-after"
    case downAfter = "down-after"
    case scrubInterval = "scrub-interval"
    case scrubRate = "scrub-rate"
    case scrubLoad = "scrub-load"
    case breakerCopies = "breaker-copies"
    case breakerShare = "breaker-share"
    case breakerWindow = "breaker-window"
    case drillEvery = "drill-every"

    /// The setting of this name. Throws `.invalid`, naming all.
    public init(named name: String) throws {
        guard let setting = SwarmSetting(rawValue: name) else {
            throw BrimError(
                .invalid, "there is no setting '\(name.prefix(64))'",
                advice: "There are \(Self.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self = setting
    }

    /// What it is for, in a few words.
    public var meaning: String {
        switch self {
        case .copies: "wanted copies of a file for which nothing else says otherwise"
        case .writeCopies: "copies on disk before a write is acknowledged, at most"
        case .maxCopies: "copies that a file is given, at most"
        case .floor: "the surplus that a file must exceed to give up a copy"
        case .headroom: "what is kept free of spare copies on each server"
        case .heartbeat: "how often servers report that they live"
        case .suspectAfter: "silence after which a server gets no new copies"
        case .downAfter: "silence after which its copies count no longer"
        case .scrubInterval: "how often every copy is compared with its checksums"
        case .scrubRate: "bytes a second that a server reads for that, at most"
        case .scrubLoad: "how busy a disk may be before that waits"
        case .breakerCopies: "copies given up without a known cause within breaker-window that stop more, at least"
        case .breakerShare: "the same as a share of all copies; the greater counts"
        case .breakerWindow:
            "the time over which they are counted, and after which a breaker that nobody strains closes"
        case .drillEvery: "how often a sample of the metadata is compared with what servers know; 0 is never"
        }
    }

    /// Which values it takes, in words.
    public var range: String {
        switch self {
        case .copies, .writeCopies, .maxCopies: "1 to \(Limits.maxCopies)"
        case .floor: "-\(Limits.maxCopies) to \(Limits.maxCopies), or none"
        case .headroom: "0% to 100%, or a size"
        case .heartbeat: "1ms to 1h, shorter than suspect-after"
        case .suspectAfter: "longer than heartbeat, shorter than down-after"
        case .downAfter: "longer than suspect-after, to 30d"
        case .scrubInterval: "100ms to 3650d"
        case .scrubRate: "1K to 1T"
        case .scrubLoad: "1% to 100%"
        case .breakerCopies: "1 to 1000000000"
        case .breakerShare: "0% to 100%"
        case .breakerWindow: "1s to 1d"
        case .drillEvery: "1s to 365d, or 0"
        }
    }

    /// Its value as people write it.
    public func text(in settings: SwarmSettings) -> String {
        switch self {
        case .copies: String(settings.copies)
        case .writeCopies: String(settings.writeCopies)
        case .maxCopies: String(settings.maxCopies)
        case .floor: settings.floor < -Limits.maxCopies ? "none" : String(settings.floor)
        case .headroom: settings.headroom.description
        case .heartbeat: DurationText.format(settings.heartbeat)
        case .suspectAfter: DurationText.format(settings.suspectAfter)
        case .downAfter: DurationText.format(settings.downAfter)
        case .scrubInterval: DurationText.format(settings.scrubInterval)
        case .scrubRate: String(settings.scrubRate)
        case .scrubLoad: Headroom.share(settings.scrubLoad).description
        case .breakerCopies: String(settings.breakerCopies)
        case .breakerShare: Headroom.share(settings.breakerShare).description
        case .breakerWindow: DurationText.format(settings.breakerWindow)
        case .drillEvery: settings.drillEvery == .zero ? "0" : DurationText.format(settings.drillEvery)
        }
    }

    /// Sets it from what a person wrote. Throws `.invalid`, with the values there are.
    public func set(_ text: String, in settings: inout SwarmSettings) throws {
        switch self {
        case .copies: settings.copies = try count(text)
        case .writeCopies: settings.writeCopies = try count(text)
        case .maxCopies: settings.maxCopies = try count(text)
        case .floor: settings.floor = try floor(text)
        case .headroom: settings.headroom = try parsed(text) { try Headroom(parsing: $0) }
        case .heartbeat: settings.heartbeat = try time(text, .milliseconds(1)...(.seconds(3600)))
        case .suspectAfter: settings.suspectAfter = try time(text, .milliseconds(1)...(.seconds(30 * 86_400)))
        case .downAfter: settings.downAfter = try time(text, .milliseconds(1)...(.seconds(30 * 86_400)))
        case .scrubInterval: settings.scrubInterval = try time(text, .milliseconds(100)...(.seconds(3650 * 86_400)))
        case .scrubRate:
            settings.scrubRate = try within(1000...1_000_000_000_000, text, try? ByteCount.parse(text))
        case .scrubLoad: settings.scrubLoad = try share(text, 0.01...1)
        case .breakerCopies: settings.breakerCopies = try within(1...1_000_000_000, text, Int(text))
        case .breakerShare: settings.breakerShare = try share(text, 0...1)
        case .breakerWindow: settings.breakerWindow = try time(text, .seconds(1)...(.seconds(86_400)))
        case .drillEvery:
            settings.drillEvery = text == "0" ? .zero : try time(text, .seconds(1)...(.seconds(365 * 86_400)))
        }
    }

    // MARK: - Details

    private func refused(_ text: String) -> BrimError {
        BrimError(.invalid, "\(rawValue) cannot be '\(text.prefix(64))'", advice: "Give \(range)")
    }

    private func parsed<Value>(_ text: String, _ parse: (String) throws -> Value) throws -> Value {
        do { return try parse(text) } catch { throw refused(text) }
    }

    private func within<Value: Comparable>(_ range: ClosedRange<Value>, _ text: String, _ value: Value?) throws -> Value
    {
        guard let value, range.contains(value) else { throw refused(text) }
        return value
    }

    private func count(_ text: String) throws -> Int { try within(1...Limits.maxCopies, text, Int(text)) }

    private func floor(_ text: String) throws -> Int {
        // No surplus is lower than that of a file without a copy.
        if text == "none" { return -Limits.maxCopies - 1 }
        return try within(-Limits.maxCopies...Limits.maxCopies, text, Int(text))
    }

    private func time(_ text: String, _ range: ClosedRange<Duration>) throws -> Duration {
        try within(range, text, try? DurationText.parse(text))
    }

    private func share(_ text: String, _ range: ClosedRange<Double>) throws -> Double {
        try within(range, text, text.hasSuffix("%") ? Double(text.dropLast()).map { $0 / 100 } : nil)
    }
}

extension SwarmSettings {
    /// With other values for some settings, given as text. Throws `.invalid` for one that is wrong, or when they do not go
    /// together.
    public func changed(_ values: [SwarmSetting: String]) throws -> SwarmSettings {
        var changed = self
        for (setting, text) in values.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            try setting.set(text, in: &changed)
        }
        try changed.check()
        return changed
    }

    /// The values of these settings as text; nil: of all that are not the usual ones.
    public func texts(of names: Set<SwarmSetting>?) -> [SwarmSetting: String] {
        let usual = SwarmSettings()
        let names = names ?? Set(SwarmSetting.allCases.filter { $0.text(in: self) != $0.text(in: usual) })
        return Dictionary(names.map { ($0, $0.text(in: self)) }) { first, _ in first }
    }

    /// Throws `.invalid` when values do not go together.
    public func check() throws {
        guard heartbeat < suspectAfter, suspectAfter < downAfter else {
            let times = [heartbeat, suspectAfter, downAfter].map(DurationText.format).joined(separator: ", ")
            throw BrimError(
                .invalid, "heartbeat, suspect-after and down-after must rise: they would be \(times)",
                advice: "Set them together")
        }
    }
}
