/**
 * Pods by the Docker Engine API: Docker from 20.10 on, and Podman's service. A sandbox is a container that waits, whose
 * namespaces the pod's containers share. The pod's network is made by CNI plugins, as with containerd.
 */
export { defaultSocket } from "./endpoint.ts";
export { type DockerRequest, openDocker, removeDockerPods } from "./node.ts";
export { type DockerOptions, dockerRuntime } from "./runtime.ts";
