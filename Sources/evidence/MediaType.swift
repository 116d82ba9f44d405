import JSON

/// The media type a file name's ending stands for.
enum MediaType {
    private static let byEnding = [
        "pdf": "application/pdf", "ofd": "application/ofd", "txt": "text/plain", "md": "text/markdown",
        "csv": "text/csv", "html": "text/html", "json": "application/json", "xml": "application/xml",
        "zip": "application/zip", "gz": "application/gzip", "ps": "application/postscript", "eml": "message/rfc822",
        "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "tiff": "image/tiff", "svg": "image/svg+xml",
        "mp3": "audio/mpeg", "wav": "audio/wav", "mp4": "video/mp4", "doc": "application/msword",
        "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ]

    /// - Parameter name: the file's name, in whatever encoding: an ending is ASCII.
    static func ofFile(named name: [UInt8]) -> String {
        let parts = name.split(separator: UInt8(ascii: "."))
        guard parts.count > 1, let ending = parts.last else { return "application/octet-stream" }
        return byEnding[String(decoding: ending.asciiLowercased, as: UTF8.self)] ?? "application/octet-stream"
    }
}
