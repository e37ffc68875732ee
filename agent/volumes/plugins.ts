/** Upstream's names of volume plugins, which are also names of folders. */
export const plugins = {
  emptyDir: "kubernetes.io~empty-dir",
  configMap: "kubernetes.io~configmap",
  secret: "kubernetes.io~secret",
  downwardAPI: "kubernetes.io~downward-api",
  projected: "kubernetes.io~projected",
  nfs: "kubernetes.io~nfs",
  csi: "kubernetes.io~csi",
} as const;
