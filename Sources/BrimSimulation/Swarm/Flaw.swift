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
    /// A slave grants more than its quota, and does not say what it uses.
    case quotaIgnored
    /// What slaves say they have lost is not entered.
    case lossesIgnored
    /// A server that is draining is treated like any other.
    case drainIgnored
    /// Forgotten servers stay where they are named.
    case forgottenNamed
    /// What is in the trash is copied as if it were a file's.
    case trashCopied
    /// What is in the trash becomes a file by itself.
    case trashReturns

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
        case .drainIgnored: ["is draining and is to get", "no rest: up are"]
        case .forgottenNamed: ["names [", "the tombstone of"]
        case .trashCopied: ["was removed and is copied"]
        case .trashReturns: ["was removed and comes back"]
        }
    }
}
