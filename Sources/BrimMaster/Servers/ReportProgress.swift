import BrimModel
import BrimWire

/// Which reports came in whole: a server is judged by a report only if this master has taken in every page of it, from the
/// first to the last, in order.
struct ReportProgress: Sendable {
    private struct Report {
        var begun: Timestamp
        /// How far it has come.
        var through: BlobID?
    }
    private var reports: [ServerName: Report] = [:]

    /// Takes in a page before it is acted on. Throws `.conflict` when pages before it are missing: the report is then to be
    /// begun anew.
    mutating func take(_ page: ReportPage) throws {
        if page.after != nil {
            guard let report = reports[page.name], report.begun == page.begun, report.through == page.after else {
                reports[page.name] = nil
                throw BrimError(
                    .conflict, "pages of the report of \(page.name) are missing before this one",
                    advice: "Begin it anew")
            }
        }
        reports[page.name] = page.through.map { Report(begun: page.begun, through: $0) }
    }

    /// A page could not be acted on: what was taken in of the report is void.
    mutating func broke(_ server: ServerName) { reports[server] = nil }
}
