/// Tokens whose signature was found right. Bounded: when the younger half is full, the older half is forgotten.
struct TokenCache: Sendable {
    private let half: Int
    private var young: [String: TokenClaims] = [:]
    private var old: [String: TokenClaims] = [:]

    init(limit: Int) { half = max(1, limit / 2) }

    var count: Int { young.count + old.count }

    subscript(token: String) -> TokenClaims? {
        get { young[token] ?? old[token] }
        set {
            if young.count >= half {
                old = young
                young = [:]
            }
            young[token] = newValue
        }
    }
}
