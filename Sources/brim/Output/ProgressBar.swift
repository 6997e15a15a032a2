import BrimClient
import BrimModel
import Foundation
import Synchronization

/// Shows how far a transfer is, on stderr while that is a terminal; does nothing otherwise.
final class ProgressBar: Sendable {
    private struct State {
        var begun = ContinuousClock.now
        var drawn: ContinuousClock.Instant?
    }

    private static let interval = Duration.milliseconds(100)
    private let isShown: Bool
    private let state = Mutex(State())

    init() { isShown = Console.errorIsTerminal }

    /// What a transfer reports to.
    var progress: TransferProgress { TransferProgress { [self] in draw($0) } }

    /// Writes a line above the bar.
    func tell(_ error: BrimError, asJSON: Bool) {
        clear()
        ErrorReport.tell(error, asJSON: asJSON)
    }

    /// Takes the bar away.
    func clear() {
        guard isShown else { return }
        state.withLock { state in
            if state.drawn != nil { Console.writeError("\r\u{1B}[K") }
        }
    }

    private func draw(_ progress: TransferProgress.Snapshot) {
        guard isShown else { return }
        state.withLock { state in
            let now = ContinuousClock.now
            // Short transfers show nothing at all.
            if now - (state.drawn ?? state.begun) < Self.interval { return }
            state.drawn = now
            Console.writeError("\r\(line(progress, after: now - state.begun))\u{1B}[K")
        }
    }

    private func line(_ progress: TransferProgress.Snapshot, after elapsed: Duration) -> String {
        let rate = Double(progress.bytes) / max(0.001, elapsed.inSeconds)
        let speed = "\(ByteCount.format(Int64(max(0, rate))))/s"
        let files = progress.totalFiles ?? 0
        let filesText = files > 1 ? "  \(progress.files)/\(files) files" : ""
        guard let total = progress.totalBytes, total > 0 else {
            return "\(ByteCount.format(progress.bytes))  \(speed)\(filesText)"
        }
        let share = Double(progress.bytes) / Double(total)
        let left = rate > 0 ? "  \(Self.clock(Double(total - progress.bytes) / rate)) left" : ""
        let text = " \(percent(share))  \(ByteCount.format(progress.bytes)) of \(ByteCount.format(total))  \(speed)"
        let rest = text + filesText + left
        let width = min(30, Console.columns - rest.count - 1)
        return (width >= 5 ? bar(share, width: width) : "") + rest
    }

    private static func clock(_ seconds: Double) -> String {
        let whole = Int(min(max(0, seconds), 359_999))
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let minutes = "\(two(whole / 60 % 60)):\(two(whole % 60))"
        return whole >= 3600 ? "\(whole / 3600):\(minutes)" : minutes
    }
}
