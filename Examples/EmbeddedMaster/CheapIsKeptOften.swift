import BrimModel
import BrimPlacement

/// What takes little room is kept more often: one copy more below a mebibyte, two below a kibibyte.
struct CheapIsKeptOften: ReplicationPolicy {
    /// The n of files that are not small, which this policy leaves to others.
    let usual: Int

    func choose(for files: [PolicyFile]) async -> [PolicyChoice?] {
        files.map { file in
            switch file.size {
            case ..<1024: choice(2, file.size)
            case ..<(1 << 20): choice(1, file.size)
            default: nil
            }
        }
    }

    private func choice(_ more: Int, _ size: Int64) -> PolicyChoice {
        PolicyChoice(n: usual + more, rule: "cheap", reason: "\(more) more than usual, as it has only \(size) bytes")
    }
}
