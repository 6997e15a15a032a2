import BrimClient
import BrimModel

/// What came of copying a tree, for people and programs.
struct TreeSummary: Encodable {
    let files: Int64
    let links: Int64
    let directories: Int64
    /// Entries left out.
    let problems: Int64

    init(_ report: TreeReport) {
        files = report.files
        links = report.links
        directories = report.directories
        problems = report.problems
    }

    /// Tells it; throws when something was left out.
    func finish(_ source: String, asJSON: Bool, bar: ProgressBar) throws {
        bar.clear()
        if asJSON { try Console.printJSON(self, indented: false) }
        guard problems == 0 else {
            throw BrimError(
                .io, "\(counted(problems, "thing")) in '\(source)' could not be copied, the rest was",
                advice: "The reasons are above")
        }
        if !asJSON && Console.errorIsTerminal {
            let others = [
                links > 0 ? counted(links, "link") : nil, directories > 0 ? "\(directories) directories" : nil,
            ]
            let rest = others.compactMap { $0 }.map { ", " + $0 }.joined()
            Console.writeError("\(source): \(counted(files, "file"))\(rest) copied\n")
        }
    }
}
