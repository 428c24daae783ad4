// Differences between versions of Node that this module follows: its results are those of the Node that it
// runs in.

const [NODE_MAJOR = 0, NODE_MINOR = 0] = process.versions.node.split('.').map(Number)

/** `FileHandle.read` rejects an invalid position instead of reading at the current one. */
export const STRICT_POSITIONS = NODE_MAJOR >= 21

/**
 * A web stream over a handle is always a byte stream. In an older Node it yields ArrayBuffers unless `type`
 * is set.
 */
export const ALWAYS_BYTES = NODE_MAJOR >= 24

/** `FileHandle.readFile` takes a `buffer` to read into. */
export const READS_INTO_MEMORY = NODE_MAJOR >= 24

/** When readFile fails to read, its error names the file, as that of a failed open does. */
export const READ_ERRORS_NAME_PATH = NODE_MAJOR >= 26

/** `FileHandle.read` converts any length to a 32-bit integer, instead of rejecting what is not an integer. */
export const TRUNCATES_LENGTH = NODE_MAJOR >= 26 || (NODE_MAJOR === 24 && NODE_MINOR >= 22)

/** `FileHandle.writeFile` checks a `mode` that it does not use. */
export const CHECKS_UNUSED_MODE = NODE_MAJOR >= 26
