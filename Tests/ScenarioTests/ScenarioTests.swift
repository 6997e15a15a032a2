import Testing

/// Whole swarms of real processes: one at a time, because each is as busy as a small machine can bear.
///
/// Nothing here depends on how fast something was: tests wait for what must come, and fail when it did not come for long.
@Suite(.serialized)
enum ScenarioTests {}
