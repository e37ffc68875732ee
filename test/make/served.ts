import { catalog, type Kind } from "#api";

/** Kinds that a cluster serves and that never change; every built-in kind by default. */
export const served = (kinds: readonly Kind[] = catalog) => ({ kinds, onChange: () => () => {} });
