import BrimMaster
import BrimModel
import BrimWire

/// A client that does one thing, as the client library does it.
struct SimulatedClient: Sendable {
    static let name = "client"
    /// A reply that got lost is waited for that long; nothing of the request is under way then any more.
    private static let deadline = Duration.seconds(60)

    let world: World
    let process: Process
    /// How often it tries before it goes away.
    let patience: Int

    init(world: World, patience: Int) {
        self.world = world
        self.patience = patience
        process = Process(Self.name, scheduler: world.scheduler)
    }

    /// Does it, in a process of its own.
    func start(_ work: @escaping @Sendable (SimulatedClient) async throws -> Void) {
        world.clients.value.removeAll { !$0.isAlive }
        world.clients.value.append(process)
        process.start { [self] in
            do {
                try await work(self)
            } catch is CancellationError where world.isOver.value {
                return
            } catch {
                world.fail("a client has ended: \(error)")
            }
        }
    }

    func master<Reply: Sendable>(
        _ work: @escaping @Sendable (MasterCore) async throws -> Reply
    ) async throws -> Reply {
        let name = world.one(of: SimulatedMaster.names) ?? ""
        do {
            return try await world.callMaster(name, from: process, deadline: Self.deadline, work)
        } catch let error as BrimError where error.code == .notLeader {
            // What people ask of any master it passes on to the leader.
            guard let leader = error.leader.flatMap(SimulatedMaster.name(at:)) else { throw Self.noLeader }
            do {
                return try await world.callMaster(leader, from: process, deadline: Self.deadline, work)
            } catch let error as BrimError where error.code == .notLeader {
                throw Self.noLeader
            }
        }
    }

    private static let noLeader = BrimError(.unavailable, "no master leads")

    private func pause() async throws { try await world.scheduler.sleep(.milliseconds(world.number(1000...2000))) }

    // MARK: - Writing

    /// Writes a file; the path is busy until it is known what came of it or the client goes away.
    func write(_ path: BrimPath, _ content: Content, n: Int?) async throws {
        var former: String?
        var avoid: [ServerName] = []
        for _ in 0..<patience {
            let request = WriteRequest(path: path, size: content.size, n: n, avoid: avoid, replaces: former)
            do {
                let item = try await master { try await $0.grant(request, writerHost: nil) }
                if let done = item.done { return written(path, content, done) }
                guard let url = item.url, let token = url.split(separator: "=").last.map(String.init),
                    let grant = try world.keys.verify(token).write
                else { throw BrimError(.internal, "a grant without a URL") }
                for target in grant.targets { Judge(world: world).ordered([grant.blob], to: target.server) }
                // What was granted before cannot be committed any more.
                former = url
                // Some give up while the slave still asks for the commit.
                let deadline = Duration.seconds(world.one(of: [2, 5, 20]) ?? 20)
                do {
                    let reply = try await world.call(grant.targets[0].server, from: process, deadline: deadline) {
                        try await $0.put(grant, token: token, content)
                    }
                    return written(path, content, reply)
                } catch let error as BrimError {
                    world.note("client", "put failed", 0, "\(path) \(error)")
                    if error.code != .conflict, let first = grant.targets.first?.server { avoid.append(first) }
                    if avoid.count > 2 { avoid = [] }
                }
            } catch let error as BrimError {
                world.note("client", "no grant", 0, "\(path) \(error)")
                avoid = []
            }
            try await pause()
        }
        if former == nil {
            world.expectations.value.end(path)
        } else {
            world.expectations.value.abandon(path, content)
        }
    }

    private func written(_ path: BrimPath, _ content: Content, _ reply: WriteReply) {
        world.note("client", "wrote", content.size, "\(path) on \(reply.replicas)")
        if reply.checksum != content.checksum { world.fail("\(path) was written with other bytes than were sent") }
        world.count(.written)
        world.expectations.value.end(path, [content])
    }

    // MARK: - Names

    /// Repeats until it is done or refused; nil when it was refused as not found, or with `sign`, after a try that was not
    /// answered: that one may have done it. A conflict is tried again unless it `isFinal`.
    func settle(
        doneIf sign: BrimError.Code = .notFound, conflictIsFinal isFinal: Bool = false,
        _ work: @escaping @Sendable (MasterCore) async throws -> Void
    ) async throws -> Bool? {
        var isUncertain = false
        while true {
            do {
                try await master(work)
                return true
            } catch let error as BrimError where error.code == .unavailable || error.code == .timeout {
                isUncertain = true
            } catch let error as BrimError where error.code == .notFound || error.code == sign {
                return isUncertain ? nil : false
            } catch let error as BrimError where error.code == .conflict && !isFinal {
                // Once more.
            } catch is BrimError {
                return false
            }
            try await pause()
        }
    }

    /// Into the trash, unless `now`.
    func remove(_ path: BrimPath, now: Bool) async throws {
        _ = try await settle { _ = try await $0.remove(path, recursive: false, now: now) }
        world.note("client", "removed", 0, path.description)
        world.count(.removed)
        world.expectations.value.end(path, [nil])
    }

    func rename(_ from: BrimPath, to: BrimPath) async throws {
        let (contents, former) = (world.expectations.value.contents(from), world.expectations.value.contents(to))
        let moved = try await settle { _ = try await $0.rename(from, to: to, replace: true) }
        world.note("client", "renamed", moved.map { $0 ? 1 : 0 } ?? 2, "\(from) to \(to)")
        switch moved {
        case true?:
            world.expectations.value.end(from, [nil])
            world.expectations.value.end(to, contents)
        case false?:
            world.expectations.value.end(from)
            world.expectations.value.end(to)
        case nil:
            // One of both is right; what is there now tells.
            world.expectations.value.end(from, contents.union([nil]))
            world.expectations.value.end(to, former.union(contents))
        }
    }

    /// Changes n.
    func change(_ path: BrimPath, n: Int) async throws {
        do {
            _ = try await master { try await $0.change(path, ChangeRequest(n: n)) }
            world.note("client", "changed n", Int64(n), path.description)
        } catch is BrimError {
            return
        }
    }

    /// Lowers or raises a quota.
    func setQuota(_ server: ServerName, _ quota: Int64) async throws {
        do {
            try await master { try await $0.setQuota(server, quota) }
            world.note("client", "set quota", quota, server.rawValue)
        } catch is BrimError {
            return
        }
    }

    // MARK: - Reading

    /// Reads a file: what arrives must be what it may hold at some time meanwhile. False when no copy could be read.
    @discardableResult
    func read(_ path: BrimPath) async throws -> Bool {
        do {
            let plan = try await master { try await $0.plan(path, readerHost: nil) }
            guard let blob = plan.file.blob, let checksum = plan.file.checksum else { return false }
            for copy in plan.copies.map(\.server).sorted() {
                do {
                    let bytes = try await world.call(copy, from: process, deadline: .seconds(10)) {
                        try await $0.read(blob)
                    }
                    if bytes.checksum != checksum { world.fail("\(path) is read with other bytes on \(copy)") }
                    world.count(.read)
                    return true
                } catch let error as BrimError {
                    world.note("client", "copy not read", 0, "\(path) on \(copy): \(error)")
                }
            }
        } catch let error as BrimError {
            world.note("client", "not read", 0, "\(path) \(error)")
        }
        return false
    }
}
