// Node's permission model is kept by Node's own functions, not by the kernel: a ring goes past it. Nothing takes one by itself
// under that model; only who opens a ring has one.

/** Whether Node's permission model is in force. */
export const isRestricted: boolean = (process as { permission?: unknown }).permission !== undefined

/** Why there is no ring then. */
export const RESTRICTED_REASON = "Node's permission model is in force"
