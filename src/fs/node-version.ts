// What the running Node does that another does not. The results of this module are those of the Node that it runs in.

const [NODE_MAJOR = 0] = process.versions.node.split('.').map(Number)

/** `FileHandle.read` refuses what is no position, instead of taking it for the current one. */
export const STRICT_POSITIONS = NODE_MAJOR >= 21

/** A web stream over a handle is one of bytes, whatever its `type`; in an older Node one of ArrayBuffers by default. */
export const ALWAYS_BYTES = NODE_MAJOR >= 24

/** `readFile` takes memory to read into. */
export const READS_INTO_MEMORY = NODE_MAJOR >= 24

/** The error of a readFile that could not read names the file, as one that could not open it does. */
export const READ_ERRORS_NAME_PATH = NODE_MAJOR >= 26

/** `FileHandle.read` makes a 32-bit integer of any length, instead of refusing what is none. */
export const TRUNCATES_LENGTH = NODE_MAJOR >= 26

/** `FileHandle.writeFile` checks a `mode` that it does not use. */
export const CHECKS_UNUSED_MODE = NODE_MAJOR >= 26
