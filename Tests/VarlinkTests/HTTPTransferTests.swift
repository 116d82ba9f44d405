import Glibc
import Testing

@testable import Varlink

/// The client's bodies from and to files, against the server and against answers no server should give.
@Suite struct HTTPTransferTests {
    /// An open file of its own that is gone with it.
    private final class File {
        let descriptor: Int32

        init(_ bytes: [UInt8] = []) throws {
            var template = Array("/tmp/varlink-transfer-XXXXXX".utf8CString)
            descriptor = mkstemp(&template)
            try #require(descriptor >= 0)
            unlink(template)
            try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
            lseek(descriptor, 0, SEEK_SET)
        }

        deinit { close(descriptor) }

        var bytes: [UInt8] {
            var status = stat()
            fstat(descriptor, &status)
            var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
            return pread(descriptor, &bytes, bytes.count, 0) == bytes.count ? bytes : []
        }
    }

    private let bytes = ToyBodies.bytes(0..<700_000)

    private func answer(to bytes: [UInt8]) -> String { ToyBodies.answer(UInt64(bytes.count), ToyBodies.hash(bytes)) }

    @Test func aFileIsPutFromItsPositionOn() throws {
        let toy = try ToyServer()
        let client = try HTTPClient(path: toy.path, timeoutSeconds: 5)
        let file = try File(bytes)
        for start in [0, 699_999, 700_000] {
            lseek(file.descriptor, start, SEEK_SET)
            var progress: [UInt64] = []
            let reply = try client.put(
                "/put?failAt=90000000",
                from: file.descriptor,
                headers: [("Content-Type", "text/x"), ("Idempotency-Key", "\"k\"")]
            ) { progress.append($0) }
            #expect(reply.status == 200 && reply.body == Array(answer(to: Array(bytes[start...])).utf8))
            #expect(progress == progress.sorted() && (progress.last ?? 0) == UInt64(700_000 - start))
        }
        let request = try #require(toy.service.bodies.state.requests.first)
        #expect(request.length == 700_000 && request.idempotencyKey == "\"k\"" && request.contentType == "text/x")
    }

    @Test func aPipeIsPutInChunks() throws {
        let toy = try ToyServer()
        let client = try HTTPClient(path: toy.path, timeoutSeconds: 5)
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        let (writing, bytes) = (ends[1], bytes)
        let writer = Thread {
            var done = 0
            while done < bytes.count {
                let count = bytes.withUnsafeBytes {
                    write(writing, $0.baseAddress.map { $0 + done }, bytes.count - done)
                }
                if count <= 0 { break }
                done += count
            }
            close(writing)
        }
        let reply = try client.put("/put", from: ends[0])
        writer.join()
        close(ends[0])
        #expect(reply.status == 200 && reply.body == Array(answer(to: bytes).utf8))
        #expect(toy.service.bodies.state.requests.first?.length == .some(nil))
    }

    @Test func aRefusalIsSeenBeforeAnythingIsSentAndInTheMiddle() throws {
        let toy = try ToyServer()
        let file = try File()
        try #require(ftruncate(file.descriptor, 1 << 36) == 0)
        var sent: UInt64 = 0
        let early = try HTTPClient(path: toy.path, timeoutSeconds: 5)
        #expect(try early.put("/put?refuse=true", from: file.descriptor) { sent = $0 }.status == 404)
        #expect(sent == 0)
        let late = try HTTPClient(path: toy.path, timeoutSeconds: 5)
        let refused = try late.put("/put?failAt=1000000", from: file.descriptor) { sent = $0 }
        #expect(refused.status == 507 && sent < 1 << 30)
        #expect(String(decoding: refused.body, as: UTF8.self).contains("StoreFull"))
    }

    @Test func aBodyIsGotIntoAFile() throws {
        let toy = try ToyServer()
        let client = try HTTPClient(path: toy.path, timeoutSeconds: 5)
        for length in [0, 1, 700_000] {
            let file = try File()
            var progress: [UInt64] = []
            let reply = try client.get("/get?bytes=\(length)", to: file.descriptor) { done, all in
                progress.append(done)
                #expect(all == UInt64(length))
            }
            #expect(reply.status == 200 && reply.body.isEmpty && file.bytes == Array(bytes[..<length]))
            #expect((progress.last ?? 0) == UInt64(length))
        }
        let file = try File()
        let missing = try client.get("/nothing", to: file.descriptor)
        #expect(missing.status == 404 && missing.body == Array("nothing".utf8) && file.bytes.isEmpty)
    }

    @Test func whatIsCutShortIsNoBody() throws {
        let toy = try ToyServer()
        let client = try HTTPClient(path: toy.path, timeoutSeconds: 5)
        let file = try File()
        let error = #expect(throws: HTTPTransferError.self) {
            try client.get("/get?bytes=1000000&gives=700000", to: file.descriptor)
        }
        guard case .cutShort(let done, 1_000_000) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(done < 1_000_000 && file.bytes.count == Int(done))
    }

    @Test func whatCanNotBeReadOrWrittenIsSaid() throws {
        let toy = try ToyServer()
        #expect(throws: HTTPTransferError.input(errno: EBADF)) {
            try HTTPClient(path: toy.path, timeoutSeconds: 5).put("/put", from: -1)
        }
        let full = open("/dev/full", O_WRONLY)
        defer { close(full) }
        #expect(throws: HTTPTransferError.output(errno: ENOSPC)) {
            try HTTPClient(path: toy.path, timeoutSeconds: 5).get("/get?bytes=9", to: full)
        }
        // A file that becomes shorter is no body: what was sent of it comes to nothing.
        let file = try File(bytes)
        do {
            let client = try HTTPClient(path: toy.path, timeoutSeconds: 5)
            #expect(throws: HTTPTransferError.inputEnded(at: 262_144, expected: 700_000)) {
                try client.put("/put", from: file.descriptor) { _ in ftruncate(file.descriptor, 1_000) }
            }
        }
        #expect(eventually { toy.service.bodies.state.abandoned == 1 })
        #expect(toy.service.bodies.state.finished == 0)
    }
}
