// File transfer: basis readers, plans, delta application, copies.

export {}
