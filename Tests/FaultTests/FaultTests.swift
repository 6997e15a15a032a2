import Testing

/// Swarms that are worked with while things break, and a checker that reads the record of all that was asked and answered.
/// One at a time: each is as busy as a small machine can bear.
@Suite(.serialized)
enum FaultTests {}
