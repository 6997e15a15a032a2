import BrimModel
import Foundation
import Synchronization

/// Makes blob and request ids for one master.
final class BlobIDSource: Sendable {
    private let generator = Mutex(BlobIDGenerator())

    func next() -> BlobID {
        let seconds = UInt32(truncatingIfNeeded: Timestamp.now.seconds)
        return generator.withLock { $0.next(seconds: seconds) }
    }

    func request() -> String { UUID().uuidString }
}
