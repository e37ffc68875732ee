import { networkInterfaces } from "node:os";

/** An address of this machine with its network, such as `10.0.0.1/24`. */
export interface LocalNetwork {
  device: string;
  cidr: string;
}

/** Interfaces of pods and of container networks on this machine: no other machine is behind them. */
export const isPodInterface = (name: string): boolean => /^(skiffv?-|cni|docker|veth|br-|virbr)/.test(name);

/** Whether an interface is the overlay of a cluster of this machine. */
export const isOverlay = (name: string): boolean => name.startsWith("skiffv-");

/**
 * This machine's networks by its interfaces that are up and have a carrier, without the loopback and those of pods. IPv4
 * only.
 */
export function machineNetworks(): LocalNetwork[] {
  return Object.entries(networkInterfaces()).flatMap(([device, addresses = []]) =>
    isPodInterface(device)
      ? []
      : addresses.flatMap(({ family, internal, cidr }) =>
          family === "IPv4" && !internal && cidr !== null ? [{ device, cidr }] : [],
        ),
  );
}
