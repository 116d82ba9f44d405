import Foundation
import JSON
import Testing

@Suite("Python's json module, with its liberties taken away")
struct SecondOpinionTests {
    /// Reads a document in hex from each line; writes its canonical form in hex, or a dash where it is refused. All but
    /// the checks named is left to the module: whatever it refuses itself, the reader has to refuse.
    private static let script = """
        import json, sys

        def integer(digits):
            if digits == '-0' or len(digits) > 17 or abs(int(digits)) >= 2 ** 53:
                raise ValueError
            return int(digits)

        def refuse(_):
            raise ValueError

        def members(pairs):
            if len(dict(pairs)) < len(pairs):
                raise ValueError
            return dict(sorted(pairs, key=lambda pair: pair[0].encode('utf-16-be')))

        def depth(value):
            if isinstance(value, dict):
                value = list(value.values())
            return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0

        for line in sys.stdin:
            try:
                text = bytes.fromhex(line).decode('utf-8')
                value = json.loads(
                    text, parse_int=integer, parse_float=refuse, parse_constant=refuse, object_pairs_hook=members
                )
                if depth(value) > 16:
                    raise ValueError
                print(json.dumps(value, ensure_ascii=False, separators=(',', ':')).encode('utf-8').hex())
            except (ValueError, RecursionError):
                print('-')
        """

    /// What Python makes of each document: its canonical form in hex, or a dash.
    private func verdicts(_ documents: [[UInt8]]) throws -> [Substring] {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("json-\(UUID().uuidString)")
        try documents.map { hex($0) + "\n" }.joined().write(to: file, atomically: false, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let input = try FileHandle(forReadingFrom: file)
        let output = Pipe()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["python3", "-c", SecondOpinionTests.script]
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        let answer = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return answer.split(separator: "\n")
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    @Test("Accepts, refuses and writes the same documents")
    func agreement() throws {
        var random = RandomDocuments(seed: 8_259)
        var documents: [[UInt8]] = []
        for _ in 0..<2_000 {
            let spelling = random.spelling(of: random.value())
            documents.append(spelling)
            for _ in 0..<4 { documents.append(random.spoilt(spelling)) }
        }
        let verdicts = try verdicts(documents)
        try #require(verdicts.count == documents.count)
        for (document, verdict) in zip(documents, verdicts) {
            let own = (try? canonical(document)).map(hex) ?? "-"
            #expect(own == verdict, "\(hex(document))")
        }
        let refused = verdicts.count { $0 == "-" }
        #expect(refused > 1_000 && refused < verdicts.count - 2_000)
    }
}
