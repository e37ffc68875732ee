import { join } from "node:path";

/** Where Node keeps what it has compiled: beside the packages, so that it goes when they go. */
export const compileCache = join(import.meta.dirname, "../../node_modules/.cache/skiff");
