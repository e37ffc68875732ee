/** The ways to the pods of other nodes: routes over a common network, VXLAN where there is none. */
export { isOverlay, isPodInterface } from "./networks.ts";
export { type OverlayMode, overlayModes } from "./plan.ts";
export { NodeRoutes, type NodeRoutesOptions, removeRoutes, removeStaleRoutes } from "./routes.ts";
export { routeProtocol } from "./state.ts";
