/**
 * The client port: how the control plane and the agents use the API, in process or over HTTP, and the informer that
 * keeps a local view by list and watch. It depends on the definitions of kinds, not on a store.
 */
export { type Followed, type FollowOptions, followKind } from "./follow.ts";
export { type HttpClient, type HttpClientOptions, httpClient } from "./http.ts";
export { type Informer, type InformerOptions, startInformer } from "./informer.ts";
export { type KubeconfigOptions, kubeconfigText } from "./kubeconfig.ts";
export type {
  Client,
  DeleteRequest,
  ListRequest,
  ListResult,
  ObjectName,
  PatchRequest,
  WatchEvent,
  WatchRequest,
  WriteRequest,
} from "./port.ts";
