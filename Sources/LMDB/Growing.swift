extension Environment {
    /// Runs `body` in the one write transaction as `write` does, and where the map has no room for it, again with a map of
    /// twice the size.
    ///
    /// A map is never larger than what it was opened with or, where the file's pages need more, than just these; a file
    /// without free pages, such as every compacted copy, then has no room for a single page more.
    ///
    /// - Parameters:
    ///   - limit: how large the map may become, in bytes.
    ///   - grown: called before each further try; nothing was written of the try before.
    /// - Throws: as `write` does; the `LMDBError` that says that the map is full once it has reached the limit.
    public func write<Result>(
        growingTo limit: Int = .max,
        grown: () throws -> Void = {},
        _ body: (borrowing WriteTransaction) throws -> Result
    ) throws -> Result {
        while true {
            do {
                return try write(body)
            } catch let error as LMDBError where error.isMapFull {
                let size = sizes.map
                guard size < limit else { throw error }
                try resizeMap(bytes: size > limit / 2 ? limit : size * 2)
                try grown()
            }
        }
    }
}
