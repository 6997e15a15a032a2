import BrimWire
import Foundation

/// Standard output and standard error.
enum Console {
    static let outputIsTerminal = isatty(STDOUT_FILENO) == 1
    static let errorIsTerminal = isatty(STDERR_FILENO) == 1

    /// Columns of the terminal that stderr or stdout is; 80 when not known.
    static var columns: Int {
        var size = winsize()
        for descriptor in [STDOUT_FILENO, STDERR_FILENO]
        where ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 {
            return Int(size.ws_col)
        }
        return 80
    }

    /// Writes at once, past all buffers.
    static func writeError(_ text: String) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0 && errno != EINTR { return }
            bytes = bytes.dropFirst(max(0, count))
        }
    }

    /// Sends on what was printed, which is buffered when stdout is no terminal.
    static func flush() { fflush(nil) }

    /// One value as JSON with sorted keys; indented for people.
    static func printJSON(_ value: some Encodable, indented: Bool = outputIsTerminal) throws {
        let data = try BrimJSON.encoder(pretty: indented).encode(value)
        print(String(decoding: data, as: UTF8.self))
    }

    /// A name as it may be shown: on a terminal without control characters, which could move its cursor.
    static func shown(_ name: String) -> String {
        guard outputIsTerminal, name.unicodeScalars.contains(where: isControl) else { return name }
        return name.unicodeScalars.map { isControl($0) ? "\\u{\(String($0.value, radix: 16))}" : String($0) }.joined()
    }

    private static func isControl(_ scalar: UnicodeScalar) -> Bool {
        scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value)
    }
}
