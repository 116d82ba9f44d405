import Files
import Foundation
import Glibc
import OpenSSL
import Testing

@testable import Ledger

/// The file of the daemon's secrets.
@Suite struct KeyringTests {
    @Test func aKeyringIsReadAsItIsWritten() throws {
        let fixture = try LedgerFixture()
        let bytes = fixture.keyring.encoded.withUnsafeBytes { Array($0) }
        func read(_ bytes: [UInt8]) -> [UInt8]? {
            bytes.withUnsafeBytes { Keyring($0) }.map { $0.encoded.withUnsafeBytes { Array($0) } }
        }
        // As the format has it, written with other means.
        var text = "evidenced keyring v1\n"
        for (name, key) in [
            ("checkpoint-ed25519", fixture.keyring.checkpointSeed), ("keys-master", fixture.keyring.masterSecret),
            ("index-hmac", fixture.keyring.indexKey),
        ] {
            text += "\(name) \(key.withUnsafeBytes { Data($0).base64EncodedString() })\n"
        }
        #expect(bytes == Array(text.utf8))
        #expect(read(bytes) == bytes)
        #expect(read(bytes + [0x0A]) == bytes)
        for wrong in [bytes + bytes, bytes + [0xFF], bytes + [0], Array(bytes.dropLast(2)), [], [0]] {
            #expect(read(wrong) == nil)
        }
        // Bits beyond the last byte, an unknown name, a key too short.
        for (old, new) in [("=\n", "-\n"), ("index-hmac ", "index-hmad "), ("index-hmac ", "index-hmac A")] {
            #expect(read(Array(text.replacing(old, with: new, maxReplacements: 1).utf8)) == nil)
        }
        // Nobody looks at what stands beyond the limit, so nothing may.
        let path = fixture.directory + "/long.keyring"
        let long = bytes + [UInt8](repeating: 0x0A, count: 4_096 - bytes.count) + Array("more\n".utf8)
        try FileSystem.create(path, long, mode: 0o600)
        #expect(throws: StartupRefusal.self) { try Keyring.load(path: path) }
    }

    /// A keyring that is replaced stays beside the new one, whatever the names and the file system.
    @Test func anOldKeyringIsKept() throws {
        let fixture = try LedgerFixture()
        let (path, real) = (fixture.directory + "/keyring", fixture.directory + "/elsewhere/real")
        try FileSystem.makeDirectory(fixture.directory + "/elsewhere")
        #expect(symlink("elsewhere/real", path) == 0)
        var keyrings = [fixture.keyring]
        try fixture.keyring.save(path: path)
        for _ in 0..<3 {
            keyrings.append(try fixture.keyring.withFreshCheckpointKey())
            try keyrings[keyrings.count - 1].stage(path: path)
            #expect(try Keyring.staged(path: path)?.checkpointSeed == keyrings[keyrings.count - 1].checkpointSeed)
            try Keyring.adoptStaged(path: path, suffix: "old")
        }
        let kept = try [real + ".old", real + ".old.2", real + ".old.3", path].map { try Keyring.load(path: $0) }
        #expect(kept.map(\.checkpointSeed) == keyrings.map(\.checkpointSeed))
        #expect(try FileSystem.target(of: path) == fixture.directory + "/elsewhere/real")
        #expect(
            try FileSystem.read(real + ".old", limit: 1 << 20) == fixture.keyring.encoded.withUnsafeBytes { Array($0) }
        )
        // No file has two names: such a thing not every file system has.
        var status = stat()
        #expect(stat(real + ".old", &status) == 0 && status.st_nlink == 1 && status.st_mode & 0o777 == 0o600)
        #expect(try Keyring.staged(path: path) == nil)
    }

    @Test func keyringFilesOthersCanReadAreRefused() throws {
        let fixture = try LedgerFixture()
        let path = fixture.directory + "/keyring"
        try fixture.keyring.save(path: path)
        #expect(try Keyring.load(path: path).checkpointSeed == fixture.keyring.checkpointSeed)
        #expect(throws: SystemError.self) { try fixture.keyring.save(path: path) }
        chmod(path, 0o640)
        do {
            _ = try Keyring.load(path: path)
            Issue.record("the keyring was taken")
        } catch let refusal as StartupRefusal {
            #expect(refusal.code == .badKeyring && refusal.advice.contains("chmod 600"))
        }
        #expect(try Keyring.load(path: path, isCredential: true).indexKey == fixture.keyring.indexKey)
        chmod(path, 0o604)
        #expect(throws: StartupRefusal.self) { try Keyring.load(path: path, isCredential: true) }
    }
}
