import Glibc
import Paths

/// A file that a command writes, named by its caller. This is the one way of writing such a file:
/// - A new file appears whole, synced, under its name, or not at all, and nothing is left beside it.
/// - A regular file that is there is replaced only where the caller says so, and then at once, never cut first. An input
///   of the same command is never replaced, by whatever link it was named.
/// - What is no regular file is never replaced: a pipe, a character device or standard output (`-`) is written to;
///   a symbolic link to a file, a directory, a socket or a block device is refused.
final class OutputFile {
    private enum Place: Equatable {
        case standardOutput
        /// A pipe or device.
        case stream
        /// A name in a directory; with the permissions of the file that has it now.
        case name(replacing: mode_t?)
    }

    let path: FilePath
    private let place: Place
    /// What the path stands for at the beginning: to tell whether two are the same.
    private let identity: FileIdentity?
    private let directory: FileIdentity?
    private var draft: Draft?

    /// Looks at where the output is to go and begins it; nothing shows yet.
    ///
    /// - Parameters:
    ///   - force: whether a regular file that is there may be replaced.
    ///   - inputs: files the command reads, which must stay.
    /// - Throws: `Failure` with status 73 where it must not go there.
    init(_ path: FilePath, force: Bool, inputs: [FilePath] = []) throws {
        self.path = path
        if path == FilePath("-") {
            try StandardOutput.mustBeOpen()
            (place, identity, directory) = (.standardOutput, FileIdentity(descriptor: STDOUT_FILENO), nil)
            return
        }
        let found = FileIdentity(path, following: false)
        let target = found?.type == S_IFLNK ? FileIdentity(path) : found
        identity = target
        directory = FileIdentity(path.parent)
        if let target, target == FileIdentity(descriptor: STDOUT_FILENO) {
            // Such as /dev/stdout; but a name of the file it was redirected to is one output for two.
            guard target.type != S_IFREG || found?.type == S_IFLNK else {
                throw Failure(.outputRefused, "\(path) is where standard output goes")
            }
            place = .standardOutput
            return
        }
        if let target, inputs.contains(where: { FileIdentity($0) == target }) {
            throw Failure(.outputRefused, "\(path) is an input of this command: it would be lost")
        }
        switch target?.type {
        case nil where found == nil: place = .name(replacing: nil)
        case S_IFIFO, S_IFCHR: place = .stream
        case S_IFREG where found?.type == S_IFREG:
            guard force else { throw Failure(.outputRefused, "\(path) exists: --force replaces it") }
            place = .name(replacing: (target?.mode ?? 0) & 0o777)
        default:
            let what = found?.type == S_IFLNK ? "a symbolic link" : target?.type == S_IFDIR ? "a directory" : "no file"
            throw Failure(.outputRefused, "\(path) is \(what): name a file to write")
        }
        guard case .name = place else { return }
        guard !path.endsInSlash else { throw Failure(.outputRefused, "\(path) names a directory") }
        draft = try Draft(in: path.parent)
    }

    var isStandardOutput: Bool { place == .standardOutput }

    private var name: FilePath { isStandardOutput ? FilePath("standard output") : path }

    /// Refuses outputs of one command that are the same file.
    static func mustDiffer(_ outputs: [OutputFile]) throws {
        for (position, output) in outputs.enumerated() {
            for other in outputs[..<position] where output.isSame(as: other) {
                throw Failure(
                    .outputRefused,
                    "\(other.path) and \(output.path) are one file: one of them would be lost"
                )
            }
        }
    }

    private func isSame(as other: OutputFile) -> Bool {
        if place == .standardOutput || other.place == .standardOutput { return place == other.place }
        // A device takes both.
        if let identity, let other = other.identity { return identity == other && identity.type != S_IFCHR }
        return identity == nil && other.identity == nil && directory == other.directory && path.name == other.path.name
    }

    /// A descriptor for reading and writing that can seek, for what is not written from beginning to end.
    var descriptor: Int32 {
        get throws {
            if let draft { return draft.descriptor }
            // What goes into a pipe is made and checked elsewhere first.
            let scratch = try Draft(in: Environment.path("TMPDIR") ?? FilePath("/var/tmp"))
            draft = scratch
            return scratch.descriptor
        }
    }

    /// Writes all there is to write and makes it stand under its name.
    func finish(_ bytes: [UInt8]) throws {
        guard case .name = place else { return try stream(bytes) }
        try Draft.write(bytes, to: try descriptor, name: path)
        try finish()
    }

    /// Makes what was written into the descriptor stand under its name, durably.
    func finish() throws {
        guard case .name(let mode) = place else { return try streamDraft() }
        guard let draft else { return }
        // Who could not read the file before can't read the one in its place.
        if let mode, fchmod(draft.descriptor, mode) != 0 { throw Failure(output: path, errno: errno) }
        guard try draft.publish(as: path, replacing: mode != nil) else {
            throw Failure(.outputRefused, "\(path) exists by now: --force replaces it")
        }
        self.draft = nil
        try Draft.syncNames(in: path.parent)
    }

    /// Copies what was written aside into the pipe or device.
    private func streamDraft() throws {
        guard let draft else { return }
        var position: off_t = 0
        try withStream { target in
            var block = [UInt8](repeating: 0, count: 1 << 20)
            while true {
                let count = pread(draft.descriptor, &block, block.count, position)
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else { throw Failure(output: path, errno: errno) }
                if count == 0 { return }
                try Draft.write(block[..<count], to: target, name: name)
                position += off_t(count)
            }
        }
    }

    private func stream(_ bytes: [UInt8]) throws {
        try withStream { try Draft.write(bytes, to: $0, name: name) }
    }

    private func withStream(_ body: (Int32) throws -> Void) throws {
        if place == .standardOutput {
            try StandardOutput.flush()
            return try body(STDOUT_FILENO)
        }
        let target = path.withCString { open($0, O_WRONLY | O_CLOEXEC | O_NOCTTY) }
        guard target >= 0 else { throw Failure(output: path, errno: errno) }
        do {
            try body(target)
        } catch {
            close(target)
            throw error
        }
        guard close(target) == 0 else { throw Failure(output: path, errno: errno) }
    }
}
