import LedgerFormat
import Merkle
import OpenSSL
import Testing

@Suite("Signed notes")
struct SignedNoteTests {
    // The note, keys and signatures of the tests of golang.org/x/mod/sumdb/note.
    private static let text = """
        If you think cryptography is the answer to your problem,
        then you don't know what your problem is.

        """
    private static let peterSignature =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    private static let enochSignature =
        "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
    private static let peterNote = text + "\n" + peterSignature

    private let peter: PublicKeyVerifier
    private let enoch: PublicKeyVerifier

    init() throws {
        let keys = try VerificationKeyTests.published.map {
            try VerificationKey(parsing: $0, sha256: SHA256Hasher().hash)
        }
        peter = PublicKeyVerifier(keys[0])
        enoch = PublicKeyVerifier(keys[1])
    }

    private func open(_ note: String, _ verifiers: [any NoteVerifier]) throws {
        try SignedNote(parsing: Array(note.utf8)).verify(verifiers)
    }

    @Test("that another implementation signed verify and are written back")
    func publishedNote() throws {
        let note = try SignedNote(parsing: Array(SignedNoteTests.peterNote.utf8))
        #expect(note.text == SignedNoteTests.text)
        #expect(note.encoded == SignedNoteTests.peterNote)
        #expect(note.signatures.map(\.name) == ["PeterNeumann"])
        #expect(note.signatures.map(\.keyID) == [0xC74F_20A3])
        try note.verify([peter])
        try note.verify([enoch, peter])
    }

    @Test("come out as another implementation signs them")
    func signing() throws {
        // The private key PRIVATE+KEY+PeterNeumann+c74f20a3+AYEK… of the same tests, less its algorithm byte.
        let secret = try #require(Base64.decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"))
        let key = try TestKey(name: "PeterNeumann", seed: Hex.encode(Array(secret.dropFirst())))
        #expect(key.verificationKey.text == VerificationKeyTests.published[0])
        #expect(try SignedNote.signed(SignedNoteTests.text, by: key).encoded == SignedNoteTests.peterNote)
    }

    @Test("by two keys verify under either, and under neither of none")
    func twoSignatures() throws {
        let note = SignedNoteTests.peterNote + SignedNoteTests.enochSignature
        try open(note, [peter])
        try open(note, [enoch])
        try open(note, [peter, enoch])
        #expect(throws: NoteError(.noKnownSignature, "the key given signed none of them")) { try open(note, []) }
        #expect(throws: NoteError(.noKnownSignature, "the key given signed none of them")) {
            try open(SignedNoteTests.peterNote, [enoch])
        }
    }

    @Test("with a wrong signature of a known key are refused, whatever else holds")
    func wrongSignatures() throws {
        let wrong = SignedNoteTests.enochSignature.replacing("/5n2ti", with: "/5n3ti")
        let note = SignedNoteTests.peterNote + wrong
        #expect(throws: NoteError(.invalidSignature, "key EnochRoot")) { try open(note, [peter, enoch]) }
        try open(note, [peter])
        // A signature too long by three bytes.
        let long = SignedNoteTests.peterSignature.replacing("x08go/ZJ", with: "x08go/ZJABCD")
        #expect(throws: NoteError(.invalidSignature, "key PeterNeumann")) {
            try open(SignedNoteTests.text + "\n" + long, [peter])
        }
    }

    @Test("changed in any bit of text or signature are refused")
    func everyBit() throws {
        let note = Array(SignedNoteTests.peterNote.utf8)
        for position in note.indices {
            for bit in 0..<8 {
                var changed = note
                changed[position] ^= 1 << UInt8(bit)
                #expect(throws: NoteError.self, "bit \(bit) of byte \(position)") {
                    try SignedNote(parsing: changed).verify([peter])
                }
            }
        }
        for count in 0..<note.count {
            #expect(throws: NoteError.self, "the first \(count) bytes") {
                try SignedNote(parsing: Array(note.prefix(count))).verify([peter])
            }
        }
    }

    /// Signature lines under which no text is a note.
    private static let malformedSignatures: [String] = [
        "", "\n", "\n\n",
        String(peterSignature.dropLast()),
        peterSignature.replacing("PeterNeumann", with: "Bad Name"),
        peterSignature.replacing("PeterNeumann", with: "Bad+Name"),
        peterSignature.replacing("PeterNeumann", with: "Bad\u{A0}Name"),
        peterSignature.replacing("PeterNeumann", with: ""),
        peterSignature.replacing("— ", with: "- "),
        peterSignature.replacing("— ", with: "—"),
        peterSignature.replacing("— ", with: "—  "),
        peterSignature.replacing("AM=\n", with: "AM\n"),
        peterSignature.replacing("AM=\n", with: "AM= \n"),
        peterSignature.replacing("AM=\n", with: "AM=\r\n"),
        // Bits beyond the last byte.
        peterSignature.replacing("AM=\n", with: "AN=\n"),
        // A key ID with no signature.
        "— PeterNeumann x08gow==\n",
        peterSignature + "Unexpected line.\n",
        peterSignature + "\n",
        String(repeating: peterSignature, count: 101),
    ]

    /// What has no text, no empty line, or bytes that no note has.
    private static let malformedNotes: [String] = [
        "", "\n", "\n\n", text, peterSignature, text + peterSignature, "\u{1}" + peterNote, "\t" + peterNote,
        peterNote.replacing("\n", with: "\r\n"),
    ]

    @Test(
        "that are malformed are refused before any signature is looked at",
        arguments: malformedNotes + malformedSignatures.map { text + "\n" + $0 }
    )
    func malformed(note: String) {
        #expect { try SignedNote(parsing: Array(note.utf8)) } throws: {
            ($0 as? NoteError)?.code == .malformedNote
        }
    }

    @Test("that are not UTF-8 are refused")
    func notUTF8() {
        for bytes: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]] {
            #expect(throws: NoteError(.malformedNote, "not UTF-8")) {
                try SignedNote(parsing: bytes + Array(SignedNoteTests.peterNote.utf8))
            }
        }
    }

    @Test("may have 100 signatures and a million bytes, and no more")
    func limits() throws {
        let hundred = SignedNoteTests.text + "\n" + String(repeating: SignedNoteTests.peterSignature, count: 100)
        #expect(try SignedNote(parsing: Array(hundred.utf8)).signatures.count == 100)

        let tail = Array(("\n\n" + SignedNoteTests.peterSignature).utf8)
        let longest = [UInt8](repeating: UInt8(ascii: "x"), count: 1_000_000 - tail.count) + tail
        #expect(try SignedNote(parsing: longest).text.utf8.count == 1_000_000 - tail.count + 1)
        #expect(throws: NoteError(.malformedNote, "longer than 1,000,000 bytes")) {
            try SignedNote(parsing: [UInt8(ascii: "x")] + longest)
        }
    }

    @Test(
        "of a key whose name only looks alike are not of the key",
        arguments: [("K", "\u{212A}"), ("\u{E9}", "e\u{301}")]
    )
    func lookAlikes(own: String, other: String) throws {
        let key = try TestKey(name: "\(own).example/l")
        let note = try SignedNote.signed("text\n", by: key).encoded
        try SignedNote(parsing: Array(note.utf8)).verify([key])
        let renamed = Array(note.utf8).replacing(Array(" \(own).".utf8), with: Array(" \(other).".utf8))
        let read = try SignedNote(parsing: renamed)
        #expect { try read.verify([key]) } throws: { ($0 as? NoteError)?.code == .noKnownSignature }
        #expect(try read != SignedNote(parsing: Array(note.utf8)))
        let (left, right) = try (SignedNote.signed("\(own)\n", by: key), SignedNote.signed("\(other)\n", by: key))
        #expect(SignedNote(text: left.text, signatures: right.signatures) != right)
    }

    @Test("are split at their last empty line")
    func emptyLinesInTheText() throws {
        let key = try TestKey(name: "example.com/a")
        let note = try SignedNote.signed("one\n\ntwo\n\n\nthree\n", by: key)
        let read = try SignedNote(parsing: Array(note.encoded.utf8))
        #expect(read == note)
        try read.verify([PublicKeyVerifier(key.verificationKey)])
    }
}
