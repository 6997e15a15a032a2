import BrimModel
import BrimWire

/// Which reports came in whole: a server is judged by a report only if this master has taken in every page of it, from the
/// first to the last, in order.
struct ReportProgress: Sendable {
    private struct Report {
        var begun: Timestamp
        /// When it was begun at the latest, by the clock of the masters.
        var since: Timestamp
        /// How far it has come.
        var through: BlobID?
    }
    private var reports: [ServerName: Report] = [:]
    /// By how much clocks that are taken to agree may differ, and how long a page may be on its way.
    private static let doubt = Duration.seconds(Int64(Limits.clockSkewSeconds))

    /// Takes in a page before it is acted on. Answers a time at which its report was certainly not begun yet: the server's
    /// clock may be wrong, and the first page was on its way. Throws `.conflict` when pages before it are missing: the
    /// report is then to be begun anew.
    @discardableResult
    mutating func take(_ page: ReportPage, at now: Timestamp) throws -> Timestamp {
        var since = min(page.begun, now).adding(.zero - Self.doubt)
        if page.after != nil {
            guard let report = reports[page.name], report.begun == page.begun, report.through == page.after else {
                reports[page.name] = nil
                throw BrimError(
                    .conflict, "pages of the report of \(page.name) are missing before this one",
                    advice: "Begin it anew")
            }
            since = report.since
        }
        reports[page.name] = page.through.map { Report(begun: page.begun, since: since, through: $0) }
        return since
    }

    /// A page could not be acted on: what was taken in of the report is void.
    mutating func broke(_ server: ServerName) { reports[server] = nil }
}
