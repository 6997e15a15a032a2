/// One request to a group of paths, and what became of it.
struct Operation: Sendable, CustomStringConvertible {
    /// Bytes that were written once and are like no others; 0 stands for no file.
    typealias Value = Int

    /// Paths are numbers within their group.
    enum Action: Sendable, Hashable {
        case put(Int, Value)
        case get(Int)
        case remove(Int)
        /// What is at the second path is replaced.
        case rename(Int, Int)
    }

    enum Outcome: Sendable, Hashable {
        /// A write, removal or renaming that was acknowledged.
        case done
        case read(Value)
        /// There was nothing to remove or to rename.
        case nothingThere
        /// An error that does not tell: it may have been done, or be done later, once, or never.
        case unknown
    }

    var client: Int
    var action: Action
    var outcome: Outcome
    /// Since the beginning of the history.
    var began: Duration
    var ended: Duration

    var description: String {
        func seconds(_ time: Duration) -> String { "\((time / .milliseconds(1)).rounded() / 1000) s" }
        return "\(seconds(began)) to \(seconds(ended)): client \(client), \(action) → \(outcome)"
    }
}
