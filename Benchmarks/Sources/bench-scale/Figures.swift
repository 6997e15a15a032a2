import Foundation

/// What was measured with one number of files.
struct Figures: Codable, Sendable {
    var files: Int
    /// By the name of the measure: milliseconds, seconds, bytes, or a number, as the name says.
    var values: [String: Double] = [:]

    subscript(_ measure: Measure) -> Double? {
        get { values[measure.rawValue] }
        set { values[measure.rawValue] = newValue }
    }
}

/// What is measured, in the order of the table.
enum Measure: String, CaseIterable, Sendable {
    case neediest = "neediest 500, ms"
    case neediestLater = "neediest 500 from the middle, ms"
    case richest = "richest 500 of one server, ms"
    case bounds = "least and most surplus, ms"
    case firstStatus = "status, the first after a start, ms"
    case status = "status, ms"
    case firstPage = "first entries of the large directory, ms"
    case listing = "listing of the large directory, s"
    case listed = "… entries in it"
    case stat = "stat, median, ms"
    case recount = "recount of one server, s"
    case recounted = "… copies on it"
    case statMeanwhile = "stat meanwhile, median, ms"
    case slowStat = "stat meanwhile, 99 of 100, ms"
    case start = "start of a master, s"
    case check = "… until all copies are counted, s"
    case memory = "memory of the master, MiB"
    case memoryAfter = "… after all that, MiB"
    case dataPerFile = "data in MongoDB per file, bytes"
    case storagePerFile = "… on its disk, bytes"
    case indexesPerFile = "indexes per file, bytes"

    /// The most that it should be.
    var goal: Double? {
        switch self {
        case .neediest, .neediestLater, .richest, .bounds: 20
        case .status, .firstPage: 100
        case .recount: 60
        case .slowStat: 50
        default: nil
        }
    }

    /// By how much it may grow from the fewest to the most files.
    var growth: Double? {
        switch self {
        case .neediest, .neediestLater, .richest, .bounds: 1.5
        default: nil
        }
    }
}

/// The figures side by side.
struct Table {
    private let figures: [Figures]

    init(_ figures: [Figures]) { self.figures = figures }

    func text(markdown: Bool) -> String {
        let last = figures.count > 1 ? ["growth"] : []
        let rows =
            [["measure"] + figures.map { "\($0.files) files" } + last + ["goal", "reached"]]
            + Measure.allCases.filter { measure in figures.contains { $0[measure] != nil } }.map(row)
        guard !markdown else {
            let lines = rows.map { "| \($0.joined(separator: " | ")) |" }
            return (lines.prefix(1) + ["|\(rows[0].map { _ in " --- |" }.joined())"] + lines.dropFirst())
                .joined(separator: "\n")
        }
        return rows.map { row in
            row.enumerated().map { $1.padding(toLength: $0 == 0 ? 46 : 17, withPad: " ", startingAt: 0) }.joined()
        }.joined(separator: "\n")
    }

    private func row(_ measure: Measure) -> [String] {
        let values = figures.map { $0[measure] }
        let growth = values.last.flatMap(\.self).flatMap { last in
            values.first.flatMap(\.self).flatMap { $0 > 0 ? last / $0 : nil }
        }
        var isReached: [Bool] = []
        var goals: [String] = []
        if let goal = measure.goal {
            goals.append("≤ \(Self.format(goal))")
            isReached += values.compactMap(\.self).map { $0 <= goal }
        }
        if let most = measure.growth, figures.count > 1 {
            goals.append("≤ \(Self.format(most)) ×")
            isReached += growth.map { [$0 <= most] } ?? []
        }
        let told = figures.count > 1 ? [growth.map { String(format: "%.2f", $0) } ?? ""] : []
        return [measure.rawValue] + values.map { $0.map(Self.format) ?? "" } + told
            + [goals.joined(separator: ", "), goals.isEmpty ? "" : isReached.allSatisfy(\.self) ? "yes" : "no"]
    }

    private static func format(_ value: Double) -> String {
        value >= 100 || value == value.rounded() ? String(format: "%.0f", value) : String(format: "%.3g", value)
    }
}

extension [Double] {
    /// The value below which this share of them lies; 0 of none.
    func quantile(_ share: Double) -> Double {
        let sorted = sorted()
        return sorted.isEmpty ? 0 : sorted[Swift.min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }

    var median: Double { quantile(0.5) }
}
