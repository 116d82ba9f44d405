import Driver
import JSON
import NIOCore

@testable import Varlink

/// The input is what a client sends. It is sent whole, and in pieces to a client that reads but now and then: the pieces
/// must not matter, and the connection must end with what the client has to say.
@Sendable func fuzzVarlink(_ bytes: [UInt8]) {
    let whole = exchange(bytes, sending: { client in client.send(bytes[...]) })
    let pieces = exchange(bytes, sending: { sendInPieces(bytes, $0) })
    checkAlike(whole, pieces)
    guard bytes.first == UInt8(ascii: "{") else { return }
    checkAnswers(whole, to: bytes)
}

/// As for the native skin, with a letter in front, which makes it HTTP.
@Sendable func fuzzHTTP(_ bytes: [UInt8]) {
    guard let first = bytes.first, UInt8(ascii: "A")...UInt8(ascii: "Z") ~= first else { return }
    let whole = exchange(bytes, sending: { client in client.send(bytes[...]) })
    let pieces = exchange(bytes, sending: { sendInPieces(bytes, $0) })
    checkAlike(whole, pieces)
    check(whole.answers.isEmpty || whole.answers.starts(with: "HTTP/1.1 ".utf8), "an answer that is not HTTP")
}

/// What came of a connection.
private struct Outcome {
    var answers: [UInt8]
    /// Whether the server closed it before the client had said all.
    var wasRefused: Bool
}

private func exchange(_ bytes: [UInt8], sending: (Client) -> Void) -> Outcome {
    let client = Client()
    sending(client)
    let wasRefused = !client.isOpen
    client.finish()
    check(!client.isOpen, "the connection stays open after its client has gone")
    return Outcome(answers: undated(client.received), wasRefused: wasRefused)
}

/// The answers without what the clock says of them.
private func undated(_ answers: [UInt8]) -> [UInt8] {
    var answers = answers
    let mark = Array("\r\ndate: ".utf8)
    var start = 0
    while let found = answers[start...].firstRange(of: mark) {
        let end = min(found.upperBound + 29, answers.count)
        for position in found.upperBound..<end { answers[position] = UInt8(ascii: "-") }
        start = end
    }
    return answers
}

/// Pieces whose lengths, and the client's moods, follow from the bytes themselves.
private func sendInPieces(_ bytes: [UInt8], _ client: Client) {
    var rest = bytes[...]
    var mood = UInt64(bytes.count)
    for byte in bytes.suffix(8) { mood = mood &* 31 &+ UInt64(byte) }
    while !rest.isEmpty {
        mood = mood &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let piece = rest.prefix(1 + Int(mood >> 60) * (mood & 1 << 40 == 0 ? 1 : 40))
        client.takesAnswers = mood & 3 << 50 != 0
        client.send(piece)
        rest = rest.dropFirst(piece.count)
    }
    client.takesAnswers = true
}

/// A server that refuses what was sent may do so before its last answers are out.
private func checkAlike(_ one: Outcome, _ other: Outcome) {
    check(one.wasRefused == other.wasRefused, "refused in one piece or in several only")
    if one.wasRefused {
        let (shorter, longer) = one.answers.count < other.answers.count ? (one, other) : (other, one)
        check(longer.answers.starts(with: shorter.answers), "other answers to the same bytes in pieces")
    } else {
        check(one.answers == other.answers, "other answers to the same bytes in pieces")
    }
}

/// Every answer is a JSON object and a NUL, and each call has as many as it must.
private func checkAnswers(_ outcome: Outcome, to bytes: [UInt8]) {
    check(outcome.answers.isEmpty || outcome.answers.last == 0, "an answer without its end")
    let answers = outcome.answers.split(separator: 0).map { answer -> JSONValue in
        guard let value = try? JSONReader.parse(Array(answer)), value.object != nil else {
            fatalError("an answer that is no JSON object")
        }
        return value
    }
    let parts = bytes.split(separator: 0, omittingEmptySubsequences: false)
    let messages = parts.dropLast()
    let read = messages.prefix { expectedAnswers(to: Array($0)) != nil }
    let isRefused = read.count < messages.count || parts.last.map { endsForItself(Array($0)) } == true
    check(outcome.wasRefused == isRefused, "what is no call is taken, or a call is not")
    // What is refused is answered last.
    let expected = read.reduce(isRefused ? 1 : 0) { $0 + (expectedAnswers(to: Array($1)) ?? 0) }
    check(answers.count == expected, "too many answers, or too few")
    check(!isRefused || answers.last?["error"] != nil, "refused without an error")
}

/// Whether the server does not wait for the end of a message: it is too long, or long and for a method nobody may call.
private func endsForItself(_ bytes: [UInt8]) -> Bool {
    bytes.count > Client.limits.messageBytes
        || bytes.count > Client.limits.promptBytes
            && isRefusedForItsMethod(CallMessage.method(beginning: Array(bytes.prefix(Client.limits.promptBytes))))
}

private func isRefusedForItsMethod(_ method: String?) -> Bool {
    guard let method else { return false }
    let peer = PeerCredentials(pid: 1, uid: 1, gid: 1)
    return ServerHost(service: ToyService(), limits: Client.limits, threads: 1, submit: { _ in })
        .refusal(of: method, for: peer) != nil
}

/// How many answers a message has; nil where it ends the connection. Read otherwise than the connection does.
private func expectedAnswers(to bytes: [UInt8]) -> Int? {
    if endsForItself(bytes) { return nil }
    guard let call = try? JSONReader.parse(bytes), let members = call.object,
        let method = call["method"]?.string
    else { return nil }
    var flags: Set<String> = []
    for member in members {
        switch member.name {
        case "method": continue
        case "parameters": guard member.value == .null || member.value.object != nil else { return nil }
        case "more", "oneway", "upgrade":
            guard member.value == .null || member.value.bool != nil else { return nil }
            if member.value.bool == true { flags.insert(member.name) }
        default: return nil
        }
    }
    guard flags.count <= 1 else { return nil }
    if flags.contains("oneway") { return 0 }
    return flags.contains("more") && method == "org.example.Fuzz.Count" ? ToyService.items + 1 : 1
}
