import BrimTestKit
import Testing

/// Swarms that are worked with while things break, and a checker that reads the record of all that was asked and answered.
/// One at a time: each is as busy as a small machine can bear.
@Suite(.serialized)
enum FaultTests {}

extension Trait where Self == ConditionTrait {
    /// Only where there can be networks and disks of their own.
    static var needsFaults: Self {
        .enabled("the faults cannot be made here") { try await TestNetwork.obstacle() == nil }
    }
}
