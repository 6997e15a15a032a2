import Foundation

/// The one form of JSON that BrimFS speaks: sorted keys, plain slashes.
public enum BrimJSON {
    public static func encoder(pretty: Bool = false) -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
        return encoder
    }

    public static func decoder() -> JSONDecoder { JSONDecoder() }
}
