import BrimModel

/// Rows of text in aligned columns.
struct Table {
    enum Alignment { case left, right }

    struct Column {
        var title: String
        var alignment: Alignment

        static func left(_ title: String) -> Column { Column(title: title, alignment: .left) }
        static func right(_ title: String) -> Column { Column(title: title, alignment: .right) }
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    init(_ columns: [Column]) { self.columns = columns }

    mutating func add(_ cells: [String]) { rows.append(cells) }

    /// The lines, with a line of titles unless all are empty.
    func lines() -> [String] {
        let titles = columns.map(\.title)
        let all = (titles.allSatisfy(\.isEmpty) ? [] : [titles]) + rows
        let widths = columns.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        return all.map { row in
            let cells = columns.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return columns[column].alignment == .left ? row[column] + padding : padding + row[column]
            }
            var line = cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    func print() { for line in lines() { Swift.print(line) } }
}

/// A bar of `width` characters, filled by `share` (0 to 1) in steps of an eighth of a character.
func bar(_ share: Double, width: Int, empty: Character = "·") -> String {
    let eighths = Int((min(1, max(0, share)) * Double(width * 8)).rounded())
    let partial = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]
    let filled = String(repeating: "█", count: eighths / 8) + partial
    return filled + String(repeating: empty, count: width - filled.count)
}

/// `1 file`, `2 files`; `plural` for nouns that do not just take an s.
func counted(_ count: some BinaryInteger, _ noun: String, _ plural: String? = nil) -> String {
    "\(count) \(count == 1 ? noun : plural ?? noun + "s")"
}

/// `1.2 GB`; `-` for nothing.
func bytes(_ count: Int64?) -> String { count.map { ByteCount.format($0) } ?? "-" }

/// What a loss takes.
func lostText(_ files: Int64, bytes: Int64) -> String {
    files == 0 ? "no file lost" : "\(counted(files, "file")) lost, \(ByteCount.format(bytes))"
}

/// `+2`, `0`, `-1`; `-` for nothing.
func signed(_ surplus: Int?) -> String { surplus.map { $0 > 0 ? "+\($0)" : "\($0)" } ?? "-" }

/// `87%`; anything beyond three digits is `>999%`.
func percent(_ share: Double) -> String { share < 9.995 ? "\(Int((share * 100).rounded()))%" : ">999%" }
