import ArgumentParser
import BrimClient
import BrimModel
import BrimWire

/// `brim ls [-l -R] [REMOTE]`
struct LsCommand: ClientCommand {
    static let readsOffline = true
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List a directory.",
        discussion: """
            With -l: type and mode, copies as k/n (those there are, of those wanted), size, time, name.

              brim ls /music
              brim ls -lR /music
              brim ls --json /music | jq -r '.[] | select(.k < .n) | .name'
            """)

    @Flag(name: [.short, .customLong("long")], help: "Tell mode, copies, size and time too.")
    var long = false

    @Flag(name: [.customShort("R"), .customLong("recursive")], help: "List directories below as well.")
    var recursive = false

    @Argument(
        help: ArgumentHelp("A path in the swarm.", valueName: "remote"), transform: { try RemotePath(parsing: $0) })
    var path: RemotePath?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var global: GlobalOptions

    func run(_ client: BrimClient) async throws {
        let path = path?.path ?? .root
        let top = try await client.stat(path)
        guard top.type == .directory else {
            let item = Item(top, name: path.name?.text ?? "/")
            return global.json ? try Console.printJSON([item]) : show([item])
        }
        if global.json {
            try Console.printJSON(try await collect(path, client))
        } else {
            try await showTree(path, client)
        }
    }

    /// All items for JSON; below the top their names are paths from there.
    private func collect(_ top: BrimPath, _ client: BrimClient) async throws -> [Item] {
        var items: [Item] = []
        var pending: [(path: BrimPath, prefix: String)] = [(top, "")]
        while let directory = pending.popLast() {
            var below: [(path: BrimPath, prefix: String)] = []
            for try await entry in client.list(directory.path) {
                let item = Item(entry, name: directory.prefix + entry.name.text)
                items.append(item)
                if recursive && entry.type == .directory {
                    below.append((try directory.path.appending(entry.name), item.name + "/"))
                }
            }
            pending += below.reversed()
        }
        return items
    }

    /// Prints directory after directory, as they come.
    private func showTree(_ top: BrimPath, _ client: BrimClient) async throws {
        var pending = [top]
        var isFirst = true
        while let directory = pending.popLast() {
            if recursive {
                print("\(isFirst ? "" : "\n")\(Console.shown(directory.description)):")
                isFirst = false
            }
            var page: [Item] = []
            // Columns are as wide as what is shown together needs.
            var most = long ? Limits.pageEntries : Listing.firstEntries
            var below: [BrimPath] = []
            for try await entry in client.list(directory) {
                page.append(Item(entry, name: entry.name.text))
                if recursive && entry.type == .directory { below.append(try directory.appending(entry.name)) }
                if page.count >= most {
                    show(page)
                    page = []
                    most = Limits.pageEntries
                }
            }
            show(page)
            pending += below.reversed()
        }
    }

    private func show(_ items: [Item]) {
        guard long else {
            for item in items { print(Console.shown(item.name)) }
            return
        }
        var table = Table([.left(""), .right(""), .right(""), .left(""), .left("")])
        for item in items {
            let copies = item.k.map { "\($0)/\(item.n ?? 0)" } ?? "-"
            let size = item.type == .directory ? "-" : ByteCount.format(item.size)
            let target = item.target.map { " -> \($0)" } ?? ""
            table.add([
                modeText(item.type, item.mode), copies, size, minute(item.modified), Console.shown(item.name + target),
            ])
        }
        table.print()
    }

    /// One entry; JSON has exactly these fields.
    struct Item: Encodable {
        var name: String
        var type: EntryType
        var size: Int64
        var modified: Timestamp
        var mode: Int
        var n: Int?
        var k: Int?
        var target: String?
        /// Of what a slave says.
        var age: Double?

        init(_ entry: ListItem, name: String) {
            (self.name, type, size, modified) = (name, entry.type, entry.size, entry.modified)
            (mode, n, k, target, age) = (entry.mode, entry.n, entry.k, entry.target, entry.age)
        }

        init(_ stat: FileStat, name: String) {
            (self.name, type, size, modified) = (name, stat.type, stat.size, stat.modified)
            (mode, n, k, target, age) = (stat.mode, stat.n, stat.k, stat.target, stat.age)
        }
    }
}

/// `-rw-r--r--`
func modeText(_ type: EntryType, _ mode: Int) -> String {
    let kind =
        switch type {
        case .file: "-"
        case .directory: "d"
        case .symlink: "l"
        }
    let letters = Array("rwxrwxrwx")
    return kind + String(letters.indices.map { mode & (0o400 >> $0) != 0 ? letters[$0] : "-" })
}

/// `2026-11-22 18:40`, in UTC.
func minute(_ time: Timestamp) -> String {
    String(time.description.prefix(16).replacing("T", with: " "))
}
