import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim status [--watch]`
struct StatusCommand: ClientCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show files, surplus and servers at a glance.",
        discussion: """
            The surplus of a file is the number of copies it has (k) less the number it should have (n): below zero it \
            is at risk, above zero it has copies to spare, which give way when room is needed.

              brim status
              brim status --watch
              brim status --json | jq .minSurplus
            """)

    @Flag(help: "Show it anew each second until Ctrl-C; one line a second when not on a terminal.")
    var watch = false

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        guard watch else { return try show(try await client.status()) }
        // Ctrl-C, which cancels, is how it is meant to end.
        while !Task.isCancelled {
            do {
                try showAnew(try await client.status())
            } catch let error as BrimError where error.retryable {
                ErrorReport.tell(error, asJSON: global.json)
            } catch {
                if Task.isCancelled { return }
                throw error
            }
            try? await Task.sleep(for: .seconds(1))
        }
    }

    private func showAnew(_ status: StatusReply) throws {
        if global.json {
            try Console.printJSON(status, indented: false)
        } else if Console.outputIsTerminal {
            // Home, the lines each cleared to their end, then what is left of the former screen.
            let lines = StatusScreen(status).lines().map { $0 + "\u{1B}[K\n" }.joined()
            print("\u{1B}[H\(lines)\u{1B}[J", terminator: "")
        } else {
            print(StatusScreen(status).line())
        }
        Console.flush()
    }

    private func show(_ status: StatusReply) throws {
        if global.json { return try Console.printJSON(status) }
        for line in StatusScreen(status).lines() { print(line) }
    }
}
