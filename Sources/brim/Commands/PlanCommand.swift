import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim plan`
struct PlanCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Say what a loss, a purchase or another number of copies would do.",
        discussion: """
            Nothing is changed. What would be so at once is counted; where the swarm would come to rest after it is found by \
            letting the planner decide on a model of the swarm.

              brim plan --lose alpha,bravo
              brim plan --add 8T --add 8T
              brim plan --copies /photos=4
              brim plan --lose alpha --add 4T --copies /tmp=1
            """)

    @Option(
        help: ArgumentHelp("Servers that would be gone for good, divided by commas.", valueName: "servers"),
        transform: { text in try text.split(separator: ",").map { try ServerName(validating: String($0)) } })
    var lose: [ServerName] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("A server with this quota would join; may be given more than once.", valueName: "size"),
        transform: { try ByteCount.parse($0) })
    var add: [Int64] = []

    @Option(
        help: ArgumentHelp("A file, or all files below a directory, would have this n.", valueName: "remote=n"),
        transform: { try Self.copies($0) })
    var copies: PlanRequest.Copies?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func validate() throws {
        guard !lose.isEmpty || !add.isEmpty || copies != nil else {
            throw ValidationError("say what might happen: --lose, --add or --copies")
        }
    }

    private static func copies(_ text: String) throws -> PlanRequest.Copies {
        guard let end = text.lastIndex(of: "="), let n = Int(text[text.index(after: end)...]) else {
            throw ValidationError("'\(text)' is not a path, '=' and a number of copies, as /photos=4")
        }
        return PlanRequest.Copies(path: try RemotePath(parsing: String(text[..<end])).path, n: n)
    }

    func run(_ client: BrimClient) async throws {
        let plan = try await client.plan(PlanRequest(lose: lose, add: add, copies: copies))
        if global.json { return try Console.printJSON(plan) }
        var table = Table([.left(""), .right("MIN SURPLUS"), .left("")])
        table.add(["now", signed(plan.minSurplusNow), ""])
        table.add(["at once", signed(plan.minSurplus), Self.losses(plan)])
        table.add(["at rest", signed(plan.minSurplusHealed), Self.work(plan)])
        table.print()
        if plan.estimated { print("\nWhat is said of the time after it is an estimate, from a sample of the files.") }
    }

    private static func losses(_ plan: PlanReply) -> String {
        let lost = lostText(plan.filesLost, bytes: plan.bytesLost)
        return plan.filesAtRisk == 0 ? lost : "\(lost), \(counted(plan.filesAtRisk, "file")) at risk"
    }

    private static func work(_ plan: PlanReply) -> String {
        guard plan.bytesToMove > 0 else { return "nothing to copy" }
        let bytes = "\(ByteCount.format(plan.bytesToMove)) to copy"
        guard let seconds = plan.seconds else { return "\(bytes); how fast copies are made was not measured yet" }
        return "\(bytes), \(Self.time(seconds)) at the rate of late"
    }

    private static func time(_ seconds: Double) -> String {
        switch seconds {
        case ..<90: "about \(counted(max(1, Int(seconds.rounded())), "second"))"
        case ..<5400: "about \(counted(Int((seconds / 60).rounded()), "minute"))"
        case ..<(48 * 3600): "about \(counted(Int((seconds / 3600).rounded()), "hour"))"
        default: "about \(counted(Int((seconds / 86_400).rounded()), "day"))"
        }
    }
}
