/**
 * Megabytes that a session of the link may hold, on both ends. Node's default of 10 refuses new streams while some 200
 * streams wait for slow readers. Each stream holds at most its buffers, so their number bounds the memory.
 */
export const linkSessionMemory = 1000;
