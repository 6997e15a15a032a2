import BrimModel

/// Calls that tests have fail.
extension InMemoryMetadataStore {
    /// A call that can be made to fail.
    public enum FaultyCall: Sendable { case servers, publishView, endForget, cancelForget }

    /// How a call fails.
    public enum Fault: Sendable {
        /// It has no effect.
        case refused
        /// It takes effect, and nobody is told.
        case answerLost
    }

    /// The next `times` calls fail; 0 ends it.
    public func fail(_ call: FaultyCall, _ fault: Fault = .refused, times: Int = 1) {
        faults[call] = times > 0 ? (fault, times) : nil
    }

    func faulty<Value>(_ call: FaultyCall, _ body: () throws -> Value) throws -> Value {
        guard let (fault, times) = faults[call] else { return try body() }
        fail(call, fault, times: times - 1)
        if fault == .answerLost { _ = try body() }
        throw BrimError(.unavailable, "the answer of the database is lost", advice: "Try again")
    }
}
