import BrimMetadata
import BrimModel
import BrimWire
import Logging
import ServiceLifecycle
import Synchronization

/// Lets the leader know what was done here that matters to it: at once when this master leads, else gathered and sent.
/// Names and files may be changed at any master; who replicates and gives copies up must hear of it.
final class LeaderNotices: BackgroundLoop {
    /// Notices are gathered for so long.
    private static let gathering = Duration.milliseconds(200)

    let worker = Worker("notices", unit: "notices to the leader")
    private let leader: LeaseKeeper
    private let masters: any MasterPeers
    private let clock: any BrimClock
    private let logger: Logger
    private let waiting = Mutex(MasterNotice())
    private let bell: Bell

    init(leader: LeaseKeeper, masters: any MasterPeers, clock: any BrimClock, logger: Logger) {
        self.leader = leader
        self.masters = masters
        self.clock = clock
        self.logger = logger
        bell = Bell(clock: clock)
    }

    /// Something was done.
    func add(_ describe: (inout MasterNotice) -> Void) {
        var notice = MasterNotice()
        describe(&notice)
        if let leadership = leader.leadership { return leadership.take(notice) }
        waiting.withLock { $0.add(notice) }
        bell.ring()
    }

    /// A write is stored on its targets, which say what they use: of use at once or not at all.
    func stored(_ request: String, _ usages: [TargetUsage]) {
        leader.leadership?.room.stored(request, usages)
    }

    func run() async throws {
        while await bell.wait(atMost: .seconds(1)) {
            guard waiting.withLock({ !$0.isEmpty }) else { continue }
            await clock.pause(Self.gathering)
            let notice = waiting.withLock { waiting in
                defer { waiting = MasterNotice() }
                return waiting
            }
            do {
                switch leader.standing {
                case .leads(let leadership): leadership.take(notice)
                case .follows(let url): try await masters.notice(url, notice)
                case .unknown: throw Refusal.nobodyLeads
                }
                worker.did(1)
                worker.rests()
            } catch {
                waiting.withLock { $0.add(notice) }
                worker.failed(error, again: .seconds(1))
                logger.debug("the leader cannot be told", metadata: ["error": "\(error)"])
            }
        }
    }
}
