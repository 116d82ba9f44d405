import Glibc
import Ledger
import Logging
import Paths
import Service
import Testing
import Varlink

@testable import Daemon

@Suite struct ConfigurationTests {
    private static let principal = "principal.shop = uid:1000\nrole.shop = submitter\n"

    private static func parse(_ text: String, environment: [String: String] = [:]) throws -> Configuration {
        try Configuration.parse(text, environment: environment)
    }

    @Test func anEmptyFileMeansTheDefaults() throws {
        let configuration = try Self.parse("")
        #expect(configuration.store == "/var/lib/evidenced/store")
        #expect(configuration.index == "/var/lib/evidenced/index")
        #expect(configuration.checkpointLock == "/var/lib/evidenced-lock/checkpoint.lock")
        #expect(configuration.keyring == "/etc/evidenced/keyring")
        #expect(configuration.socket == "/run/evidenced/evidenced.sock")
        #expect(configuration.socketMode == 0o666)
        #expect(configuration.backupRoot == nil)
        #expect(configuration.logLevel == .info)
        #expect(configuration.batchEvents == 4096)
        #expect(configuration.access.principals.isEmpty)
        #expect(configuration.access.principal(of: PeerCredentials(pid: 1, uid: 0, gid: 0)) == nil)
    }

    @Test func everyKeyIsRead() throws {
        let configuration = try Self.parse(
            """
            # a comment
               # and one with blanks before it
            store = /a/store
            index=/a/index
            \tcheckpoint-lock\t=\t/b/lock  \r
            keyring = /k = y#not a comment
            socket = /run/x
            socket-mode = 0640
            backup-root = /backups
            map-size = 3G
            map-limit = 2T
            index-map-size = 16777216
            readers = 200
            queue-events = 10
            queue-bytes = 128K
            batch-events = 20
            commit-events = 30
            commit-bytes = 5M
            maximum-connections = 40
            maximum-connections-per-user = 39
            maximum-in-flight = 50
            message-bytes = 60K
            message-timeout = 70
            idle-timeout = 80
            log-level = debug
            """,
            environment: ["CREDENTIALS_DIRECTORY": "/run/credentials/x"]
        )
        #expect(configuration.locations.store == "/a/store")
        #expect(configuration.locations.index == "/a/index")
        #expect(configuration.locations.lock == "/b/lock")
        #expect(configuration.keyring == "/k = y#not a comment")
        #expect(configuration.socket == "/run/x")
        #expect(configuration.socketMode == 0o640)
        #expect(configuration.backupRoot == "/backups")
        #expect(configuration.ledgerSettings.mapBytes == 3_221_225_472)
        #expect(configuration.ledgerSettings.maximumMapBytes == 2_199_023_255_552)
        #expect(configuration.ledgerSettings.indexMapBytes == 16_777_216)
        #expect(configuration.ledgerSettings.readers == 200)
        #expect(configuration.ledgerSettings.queueEvents == 10)
        #expect(configuration.ledgerSettings.queueBytes == 131_072)
        #expect(configuration.batchEvents == 20)
        #expect(configuration.ledgerSettings.batchEvents == 30)
        #expect(configuration.ledgerSettings.batchBytes == 5_242_880)
        #expect(configuration.varlinkLimits.connections == 40)
        #expect(configuration.varlinkLimits.connectionsPerUser == 39)
        #expect(configuration.varlinkLimits.inFlight == 50)
        #expect(configuration.varlinkLimits.messageBytes == 61_440)
        #expect(configuration.varlinkLimits.messageSeconds == 70)
        #expect(configuration.varlinkLimits.idleSeconds == 80)
        #expect(configuration.logLevel == .debug)
    }

    @Test func aCredentialIsTheDefaultKeyring() throws {
        let environment = ["CREDENTIALS_DIRECTORY": "/run/credentials/evidenced.service"]
        #expect(try Self.parse("", environment: environment).keyring == "/run/credentials/evidenced.service/keyring")
    }

    @Test(arguments: [
        ("store", 1, "store", "key = value"),
        ("\n\nstroe = /x", 3, "stroe", "unknown key"),
        ("Store = /x", 1, "Store", "unknown key"),
        ("= /x", 1, "", "unknown key"),
        ("[Service]\n", 1, nil, "key = value"),
        ("store = /x\nstore = /x", 2, "store", "line 1"),
        ("store =", 1, "store", "no value"),
        ("store = x", 1, "store", "absolute"),
        ("store = /", 1, "store", "absolute"),
        ("store = /x/", 1, "store", "absolute"),
        ("store = /x//y", 1, "store", "absolute"),
        ("store = /x/../y", 1, "store", "absolute"),
        ("store = /x/./y", 1, "store", "absolute"),
        ("store = /x\u{0}y", 1, "store", "control"),
        ("store = /x\u{7F}", 1, "store", "control"),
        ("store = /a\nindex = /a", 2, "index", "different"),
        ("index = /a\nstore = /a", 2, "store", "different"),
        ("store = /a\ncheckpoint-lock = /a/b/lock", 2, "checkpoint-lock", "outside"),
        ("store = /a\ncheckpoint-lock = /a/\u{301}lock", 2, "checkpoint-lock", "outside"),
        ("store = /a\ncheckpoint-lock = /a/\u{FE0F}/lock", 2, "checkpoint-lock", "outside"),
        ("index = /a\ncheckpoint-lock = /a/data.mdb", 2, "checkpoint-lock", "outside of the index"),
        ("store = /a\nkeyring = /a/keyring", 2, "keyring", "outside of the store"),
        ("keyring = /a\ncheckpoint-lock = /a", 2, "checkpoint-lock", "different files"),
        ("store = /usr\nindex = /proc/self/root/usr", 2, "index", "different"),
        ("store = /usr\ncheckpoint-lock = /proc/self/root/usr/bin/lock", 2, "checkpoint-lock", "outside"),
        ("map-size = 16384\u{212A}", 1, "map-size", "size from"),
        ("map-size = 16M\u{301}", 1, "map-size", "size from"),
        ("socket-mode = 0888", 1, "socket-mode", "octal"),
        ("socket-mode = 1777", 1, "socket-mode", "octal"),
        ("socket-mode = -066", 1, "socket-mode", "octal"),
        ("socket-mode = 66", 1, "socket-mode", "octal"),
        ("map-size = 1Q", 1, "map-size", "size from"),
        ("map-size = 1.5G", 1, "map-size", "size from"),
        ("map-size = -1G", 1, "map-size", "size from"),
        ("map-size = +1G", 1, "map-size", "size from"),
        ("map-size = G", 1, "map-size", "size from"),
        ("map-size = 9999999999999T", 1, "map-size", "size from"),
        ("map-size = 16777215", 1, "map-size", "size from"),
        ("map-limit = 65T", 1, "map-limit", "size from"),
        ("map-limit = 1G\nmap-size = 2G", 2, "map-size", "map-limit"),
        ("map-limit = 512M", 1, "map-limit", "map-size"),
        ("queue-events = 0", 1, "queue-events", "from 1 to"),
        ("queue-events = +5", 1, "queue-events", "from 1 to"),
        ("queue-events = 99999999999999999999", 1, "queue-events", "from 1 to"),
        ("batch-events = 65537", 1, "batch-events", "from 1 to 65536"),
        ("idle-timeout = 86401", 1, "idle-timeout", "86400"),
        ("idle-timeout = ten", 1, "idle-timeout", "whole number"),
        ("maximum-connections = 10", 1, "maximum-connections", "maximum-connections-per-user"),
        ("log-level = loud", 1, "log-level", "trace"),
    ])
    func refusals(text: String, line: Int, key: String?, rule: String) throws {
        // A line without "=" has no key to name.
        let key = rule == "key = value" ? nil : key
        let error = try #require(throws: ConfigurationError.self) { try Self.parse(text) }
        #expect(error.line == line)
        #expect(error.key == key)
        #expect(error.rule.contains(rule), "\(error)")
    }

    @Test func placesThatOnlyLookAlikeAreApart() throws {
        for (store, lock) in [
            ("/a/b", "/a/b\u{301}/lock"), ("/a/b", "/a/bc/lock"), ("/caf\u{E9}", "/cafe\u{301}/lock"),
        ] {
            #expect(try Self.parse("store = \(store)\ncheckpoint-lock = \(lock)").checkpointLock == lock)
        }
        #expect(throws: Never.self) { try Self.parse("store = /caf\u{E9}\nindex = /cafe\u{301}") }
    }

    @Test func theSocketPathFitsTheKernelsAddress() throws {
        let longest = "/" + String(repeating: "x", count: 106)
        #expect(try Self.parse("socket = \(longest)").socket == longest)
        #expect(throws: ConfigurationError.self) { try Self.parse("socket = \(longest)x") }
    }

    @Test func limitsHoldAtTheirEdges() throws {
        #expect(try Self.parse("batch-events = 65536").batchEvents == 65536)
        #expect(try Self.parse("batch-events = 1").batchEvents == 1)
        #expect(try Self.parse("map-limit = 64T").ledgerSettings.maximumMapBytes == 1 << 46)
        #expect(try Self.parse("map-size = 16M").ledgerSettings.mapBytes == 1 << 24)
    }

    @Test func theReferenceChangesNothingAndItsLinesAreTheDefaults() throws {
        let environment = ["CREDENTIALS_DIRECTORY": "/c"]
        #expect(try Self.parse(Configuration.reference, environment: environment).keyring == "/c/keyring")
        let commented = Configuration.reference.split(separator: "\n").filter {
            $0.hasPrefix("#") && !$0.hasPrefix("# ")
        }
        let assignments = commented.map { String($0.dropFirst()) }
        for key in Configuration.keys {
            let line = try #require(assignments.first { $0.hasPrefix("\(key.name) = ") })
            #expect(throws: Never.self) { try Self.parse(line) }
            #expect(throws: Never.self) { try Self.parse("\(key.name) = \(key.example)") }
        }
        for prefix in ["principal.", "role.", "types."] {
            #expect(assignments.contains { $0.hasPrefix(prefix) })
        }
        let all = try Self.parse(assignments.filter { !$0.hasPrefix("backup-root") }.joined(separator: "\n"))
        let none = try Self.parse("")
        #expect(all.store == none.store && all.keyring == none.keyring && all.socketMode == none.socketMode)
        #expect("\(all.ledgerSettings)" == "\(none.ledgerSettings)")
        #expect("\(all.varlinkLimits)" == "\(none.varlinkLimits)")
        #expect(all.access.principals.map(\.name) == ["shop"])
    }

    /// With UPDATE_CONFIGURATION=1 in the environment the file is written anew.
    @Test func theInstalledExampleIsTheReference() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(root)/systemd/evidenced.conf"
        if getenv("UPDATE_CONFIGURATION") != nil { write(Array(Configuration.reference.utf8), to: path) }
        let installed = try #require(read(path))
        #expect(installed == Configuration.reference)
        #expect(Configuration.reference.split(separator: "\n").allSatisfy { $0.utf8.count <= 100 })
    }

    @Test func filesAreReadAndErrorsNameThem() throws {
        let path = "/tmp/evidenced-configuration-\(getpid())"
        defer { unlink(path) }
        write(Array("log-level = error\n".utf8), to: path)
        #expect(try Configuration.load(path: FilePath(path), environment: [:]).logLevel == .error)
        write(Array("\n\nqueue-event = 1\n".utf8), to: path)
        let unknown = try #require(throws: ConfigurationError.self) {
            try Configuration.load(path: FilePath(path), environment: [:])
        }
        #expect("\(unknown)" == "\(path): line 3: queue-event: unknown key")
        write([0x23, 0xC3, 0x28, 0x0A], to: path)
        let encoding = try #require(throws: ConfigurationError.self) {
            try Configuration.load(path: FilePath(path), environment: [:])
        }
        #expect(encoding.rule == "not UTF-8")
        write([UInt8](repeating: 0x23, count: 1_048_577), to: path)
        #expect(throws: ConfigurationError.self) { try Configuration.load(path: FilePath(path), environment: [:]) }
        unlink(path)
        let missing = try #require(throws: ConfigurationError.self) {
            try Configuration.load(path: FilePath(path), environment: [:])
        }
        #expect("\(missing)" == "\(path): No such file or directory")
    }

    @Test func randomFilesNeverTrap() {
        var generator = SystemRandomNumberGenerator()
        let pieces = [
            "store", "principal.a", "role.a", "types.a", "=", " = ", "\n", "/x", "uid:1", ",", "1", "9999999999999",
            "K",
            "T", "#", "\r\n", "\u{301}", "é", ".", "*", "map-size", "socket-mode", "user:", ":", "submitter", "\0",
        ]
        for _ in 0..<5_000 {
            let count = Int.random(in: 0..<24, using: &generator)
            let text = (0..<count).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            _ = try? Self.parse(text)
        }
    }
}

private func read(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(byte)) }
    return String(decoding: bytes, as: UTF8.self)
}

private func write(_ bytes: [UInt8], to path: String) {
    guard let file = fopen(path, "w") else { return }
    defer { fclose(file) }
    fwrite(bytes, 1, bytes.count, file)
}
