/// Ways to break the engine, each of which the checks must notice: a gate that nothing fails proves nothing.
public enum Flaw: String, Sendable, CaseIterable {
    /// The planner goes one below the floor.
    case floorIgnored
    /// Giving up a copy asks for neither surplus nor another holder.
    case giveUpUnconditional
    /// A slave says that a blob is durable before it is.
    case commitBeforeDurable
    /// What may be deleted is never deleted.
    case deletionsForgotten
    /// A server that comes or goes has no files recounted.
    case recountForgotten
    /// Nothing is given up for files with fewer copies.
    case neverExchanges
    /// A slave grants more than its quota.
    case quotaIgnored
    /// What slaves say they have lost is not entered.
    case lossesIgnored

    /// Words of the violation that it must lead to, one of these.
    public var violations: [String] {
        switch self {
        case .floorIgnored: ["at or below the floor"]
        case .giveUpUnconditional: ["at or below the floor", "no other holder is up"]
        case .commitBeforeDurable: ["is not durable on"]
        case .deletionsForgotten: ["still to be deleted", "no rest"]
        case .recountForgotten: ["counted wrongly", "miscounted: [BrimModel"]
        case .neverExchanges: ["could be copied to"]
        case .quotaIgnored: ["uses more than its quota"]
        case .lossesIgnored: ["does not have"]
        }
    }
}
