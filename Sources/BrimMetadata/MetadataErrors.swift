import BrimModel
import MongoDriver

extension BrimError {
    /// What a failure of MongoDB means to those who asked the store.
    init(_ error: MongoError, while action: String) {
        let message = "\(action): \(error)"
        self =
            switch error.kind {
            case .unavailable, .notPrimary, .closed, .overloaded, .writeConcern, .cursorLost, .snapshotLost,
                .cancelled:
                // Cancelled are requests of which a master that has lost touch with its database lets go, too.
                BrimError(.unavailable, message, retryable: error.kind != .closed)
            case .timeout: BrimError(error.isCommitUnknown ? .unavailable : .timeout, message)
            case .duplicateKey, .writeConflict: BrimError(.conflict, message)
            case .unauthorized: BrimError(.denied, message)
            case .validationFailed, .invalidArgument, .corruptBSON, .namespaceNotFound, .alreadyExists, .command:
                BrimError(.internal, message, retryable: error.isRetryable)
            }
    }
}

/// Runs `body`, and gives every failure as a `BrimError`.
func translatingErrors<T>(
    _ action: String, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> T
) async throws(BrimError) -> T {
    do {
        return try await body()
    } catch let error as BrimError {
        throw error
    } catch let error as MongoError {
        throw BrimError(error, while: action)
    } catch is CancellationError {
        throw BrimError(.unavailable, "\(action): cancelled")
    } catch {
        throw BrimError(.internal, "\(action): \(error)")
    }
}
