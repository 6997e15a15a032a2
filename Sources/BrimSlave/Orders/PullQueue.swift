import BrimModel
import BrimWire
import DequeModule

/// Pulls that wait, handed out in the order they came; with a small one come others that the same source has.
struct PullQueue {
    private struct Waiting {
        var number: Int
        var job: PullJob
    }
    private var alone = Deque<Waiting>()
    private var small: [Peer: Deque<Waiting>] = [:]
    private var last = 0
    private(set) var count = 0

    /// `alone`: it is not pulled together with others.
    mutating func append(_ job: PullJob, alone isAlone: Bool = false) {
        last += 1
        count += 1
        let waiting = Waiting(number: last, job: job)
        if !isAlone, job.pull.size <= Limits.smallBlobBytes, let source = job.pull.sources.first {
            small[source, default: []].append(waiting)
        } else {
            alone.append(waiting)
        }
    }

    /// The next one, and those that are pulled with it; nil when none waits.
    mutating func next() -> [PullJob]? {
        let first = small.min { ($0.value.first?.number ?? .max) < ($1.value.first?.number ?? .max) }
        if let single = alone.first, single.number < first?.value.first?.number ?? .max {
            alone.removeFirst()
            count -= 1
            return [single.job]
        }
        guard let (source, queue) = first else { return nil }
        var rest = queue
        var batch: [PullJob] = []
        var room = Limits.copyBatchBytes
        small[source] = nil
        while batch.count < Limits.copyBatchBlobs, let job = rest.first?.job, job.pull.size <= room {
            rest.removeFirst()
            batch.append(job)
            room -= job.pull.size
        }
        if !rest.isEmpty { small[source] = rest }
        count -= batch.count
        return batch
    }
}
