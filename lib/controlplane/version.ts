import type { Version } from "#apiserver";

/** The Kubernetes version whose API is served. */
export const version: Version = {
  major: "1",
  minor: "36",
  gitVersion: "v1.36.0+skiff",
  gitCommit: "0000000000000000000000000000000000000000",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "none",
  compiler: "none",
  platform: "linux/amd64",
};
