import { hostname } from "node:os";

/** The machine's host name as a node can have it. */
export const nodeName = (): string =>
  hostname()
    .toLowerCase()
    .replace(/[^a-z0-9.-]/g, "-")
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/g, "") || "node";
