// Node's permission model is enforced by Node's own functions, not by the kernel, and a ring bypasses it. So
// under that model nothing uses a ring by default: only a program that opens one has one.

/** Whether Node's permission model is in force. */
export const isRestricted: boolean = (process as { permission?: unknown }).permission !== undefined

/** Why there is no default ring under it. */
export const RESTRICTED_REASON = "Node's permission model is in force"
