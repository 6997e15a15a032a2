import BrimModel
import Foundation
import Synchronization

/// Times as HTTP headers write them (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
public enum HTTPDate {
    private static let latest = Mutex<(seconds: Int64, text: String)>((-1, ""))

    /// The present, for `Date` headers; formatted once per second.
    public static var now: String {
        let time = Timestamp.now
        return latest.withLock { latest in
            if latest.seconds != time.seconds { latest = (time.seconds, format(time)) }
            return latest.text
        }
    }

    /// Formats a time; its fraction of a second is dropped.
    public static func format(_ time: Timestamp) -> String {
        var seconds = time_t(time.seconds)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        let year = Int(parts.tm_year) + 1900
        return "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(year) \(clock) GMT"
    }
}
