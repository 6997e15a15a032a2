/// State of a simulation, which all of its tasks share.
///
/// Unchecked: every task of a simulation runs on the one thread of its `Scheduler`, one at a time, so that whatever happens
/// between two suspensions happens at once.
final class Confined<Value>: @unchecked Sendable {
    var value: Value
    init(_ value: Value) { self.value = value }
}
