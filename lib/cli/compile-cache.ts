import { join } from "node:path";

/** Node's compile cache, beside the packages, so that it is deleted with them. */
export const compileCache = join(import.meta.dirname, "../../node_modules/.cache/skiff");
