import ArgumentParser
import BrimModel
import BrimWire
import Foundation

/// Wrong usage that shows only when variables and settings files have been read.
struct UsageError: Error {
    let message: String
    init(_ message: String) { self.message = message }
}

/// How a failure is told, and with which exit status the process ends.
struct ErrorReport {
    private let error: any Error

    init(_ error: any Error) { self.error = error }

    /// Tells the failure (help and the version are none, and go to stdout); gives the exit status: 0, 1 or 2.
    func print(asJSON: Bool) -> CInt {
        if let failure = error as? BrimError {
            Self.tell(failure, asJSON: asJSON)
            return 1
        }
        if let usage = error as? UsageError {
            Self.tell(BrimError(.invalid, usage.message), asJSON: asJSON)
            return 2
        }
        if error is CancellationError {
            Self.tell(BrimError(.internal, "interrupted"), asJSON: asJSON)
            return 1
        }
        switch Brim.exitCode(for: error) {
        case .success:
            Swift.print(Brim.fullMessage(for: error))
            return 0
        case .validationFailure:
            tellUsage(asJSON: asJSON)
            return 2
        default:
            let message = Brim.message(for: error)
            if !message.isEmpty { Self.tell(BrimError(.internal, message), asJSON: asJSON) }
            return 1
        }
    }

    /// Writes `brim: what failed: why. what to do` to stderr, or the same as a JSON object.
    static func tell(_ error: BrimError, asJSON: Bool) {
        Console.writeError((asJSON ? json(error) : "brim: \(error)") + "\n")
    }

    private func tellUsage(asJSON: Bool) {
        if asJSON {
            let advice = "See 'brim \(CommandLine.arguments.dropFirst().first ?? "") --help'"
            Self.tell(BrimError(.invalid, Brim.message(for: error), advice: advice), asJSON: true)
        } else {
            let text = Brim.fullMessage(for: error)
            Console.writeError("brim: \(text.hasPrefix("Error: ") ? String(text.dropFirst(7)) : text)\n")
        }
    }

    private static func json(_ error: BrimError) -> String {
        struct Body: Encodable {
            var code: BrimError.Code
            var message: String
            @Nullable var advice: String?
            var retryable: Bool
        }
        let body = Body(
            code: error.code, message: error.message, advice: error.advice,
            retryable: error.retryable)
        guard let data = try? BrimJSON.encoder().encode(body) else { return #"{"code":"internal"}"# }
        return String(decoding: data, as: UTF8.self)
    }
}
