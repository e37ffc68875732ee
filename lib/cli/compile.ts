import { enableCompileCache } from "node:module";
import { compileCache } from "./compile-cache.ts";

/*
 * Run by `npm ci`: sources run unbuilt, so the modules of both processes of a cluster are compiled here once. Without
 * it, the first start on a machine would take a second longer than all later ones.
 */
enableCompileCache(compileCache);
await Promise.all([
  import("#cli"),
  import("#hosts/embedded"),
  import("#agent/runtime/containerd"),
  import("#agent/runtime/containerd/private"),
  import("#agent/runtime/docker"),
  import("#agent/runtime/fake"),
  import("#agent"),
]);
