import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { silentLog } from "#base";
import { type DataFolder, dataFolder } from "./data-folder.ts";
import { checkBlocks, claimNetwork, clusterNames, type Machine, overlaps, readNetwork } from "./network.ts";

let root: string;
let machine: Machine;
let routes: { cidr: string; device: string }[];
let warnings: string[];
const log = {
  ...silentLog,
  warn: (message: string, fields?: object) => void warnings.push(`${message} ${JSON.stringify(fields)}`),
};
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "skiff-network-"));
  routes = [];
  warnings = [];
  machine = { clusters: join(root, "clusters"), routes: () => routes };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const folder = (name: string): DataFolder => {
  const made = dataFolder(join(root, name));
  mkdirSync(made.root, { recursive: true });
  return made;
};
const serviceCidr = "10.96.0.0/16";
const claim = (name: string, podCidr?: string) => claimNetwork(folder(name), { podCidr }, log, machine);

test("blocks that share an address overlap", () => {
  expect(overlaps("10.244.0.0/16", "10.244.0.0/16")).toBe(true);
  expect(overlaps("10.0.0.0/8", "10.244.3.0/24")).toBe(true);
  expect(overlaps("10.244.255.255/32", "10.244.0.0/16")).toBe(true);
  expect(overlaps("10.244.0.0/16", "10.245.0.0/16")).toBe(false);
  expect(overlaps("10.244.0.0/16", "fd00::/8")).toBe(false);
  expect(() => checkBlocks({ podCidr: "10.96.0.0/24", serviceCidr })).toThrow(
    "--pod-cidr 10.96.0.0/24 and --service-cidr 10.96.0.0/16 overlap",
  );
  expect(() => checkBlocks({ podCidr: serviceCidr, serviceCidr })).toThrow("overlap");
  expect(() => checkBlocks({ podCidr: undefined, serviceCidr })).not.toThrow();
});

test("each data folder has its own bridge, block and cgroups, and does not change them", () => {
  const [one, two] = [claim("one"), claim("two")];
  expect([one.podCidr, two.podCidr]).toEqual(["10.244.0.0/16", "10.245.0.0/16"]);
  expect(one.bridge).not.toBe(two.bridge);
  expect(one.cgroupRoot).not.toBe(two.cgroupRoot);
  expect(one.bridge.length).toBeLessThanOrEqual(15);
  // Its own route exists while its pods run on.
  routes = [{ cidr: "10.244.0.0/24", device: one.bridge }];
  expect(claim("one")).toEqual(one);
  expect(readNetwork(folder("one"), log, machine.clusters)).toEqual(one);
  // A deleted folder frees its block.
  rmSync(join(root, "two"), { recursive: true });
  routes = [];
  expect(claim("three").podCidr).toBe("10.245.0.0/16");
  expect(readdirSync(machine.clusters).filter((name) => name.endsWith(".json")).length).toBe(2);
});

test("the blocks of services of two clusters do not overlap", () => {
  const [one, two] = [claim("one"), claim("two")];
  expect([one.serviceCidr, two.serviceCidr]).toEqual(["10.96.0.0/16", "10.97.0.0/16"]);
  expect(claim("two")).toEqual(two);
  const requested = (name: string, block: string) =>
    claimNetwork(folder(name), { serviceCidr: block }, log, machine).serviceCidr;
  expect(() => requested("three", "10.96.128.0/17")).toThrow(
    `--service-cidr 10.96.128.0/17 overlaps 10.96.0.0/16 of the cluster in ${join(root, "one")}`,
  );
  expect(requested("three", "10.200.0.0/16")).toBe("10.200.0.0/16");
  expect(claim("three").serviceCidr).toBe("10.200.0.0/16");
  expect(clusterNames(machine.clusters)).toContain(one.bridge);
  writeFileSync(join(machine.clusters, `${two.bridge}.json`), "{");
  rmSync(join(root, "one"), { recursive: true });
  const left = clusterNames(machine.clusters);
  expect([left.has(one.bridge), left.has(two.bridge)]).toEqual([false, true]);
});

test("a data folder of an earlier version keeps the services' usual block", () => {
  claim("one");
  // Written before blocks of services were chosen.
  const { serviceCidr: _, ...older } = claim("two");
  writeFileSync(join(root, "two", "network.json"), JSON.stringify(older));
  expect(claim("two").serviceCidr).toBe("10.96.0.0/16");
  // It ran with simulated containers only, and has no network yet.
  const simulated = folder("three");
  writeFileSync(simulated.store, "");
  expect(claim("three").serviceCidr).toBe("10.96.0.0/16");
});

test("does not choose a block in use, and refuses it by name when it is requested", () => {
  routes = [
    { cidr: "10.244.7.0/24", device: "docker0" },
    { cidr: "10.245.0.1/32", device: "wg0" },
  ];
  expect(claim("one").podCidr).toBe("10.246.0.0/16");
  expect(() => claim("two", "10.244.0.0/16")).toThrow(
    "--pod-cidr 10.244.0.0/16 overlaps the route to 10.244.7.0/24 on docker0: choose another --pod-cidr",
  );
  expect(() => claim("two", "10.246.128.0/17")).toThrow(
    `--pod-cidr 10.246.128.0/17 overlaps 10.246.0.0/16 of the cluster in ${join(root, "one")}`,
  );
  const joining = { podCidr: "10.244.0.0/16", serviceCidr: "10.99.0.0/16", isJoining: true };
  expect(() => claimNetwork(folder("two"), joining, log, machine)).toThrow(
    "this machine cannot join: the pod addresses 10.244.0.0/16 of the cluster overlap the route to 10.244.7.0/24 on docker0",
  );
  expect(() => claimNetwork(folder("two"), { podCidr: "10.96.3.0/24", serviceCidr }, log, machine)).toThrow("overlap");
  expect(claim("two", "192.168.64.0/20").podCidr).toBe("192.168.64.0/20");
  // The requested block is stored as well.
  expect(claim("two").podCidr).toBe("192.168.64.0/20");
  // A chosen block never touches the services'.
  expect(claimNetwork(folder("four"), { serviceCidr: "10.247.0.0/16" }, log, machine).podCidr).toBe("10.248.0.0/16");
});

test("refuses by name a stored block that is in use meanwhile", () => {
  claim("one");
  routes = [{ cidr: "10.244.0.0/16", device: "docker0" }];
  expect(() => claim("one")).toThrow(
    "the pod addresses 10.244.0.0/16 of this cluster overlap the route to 10.244.0.0/16 on docker0",
  );
  expect(claim("one", "10.250.0.0/16").podCidr).toBe("10.250.0.0/16");
});

test("a folder of an earlier version keeps its bridge and its block", () => {
  const list = (name: string, subnet: string) => {
    const path = join(folder(name).agents, "containerd", "containerd", "net.d");
    mkdirSync(path, { recursive: true });
    const ranges = [[{ subnet }]];
    const plugins = [{ type: "bridge", bridge: "skiff-5bce98f7", ipam: { ranges } }, { type: "portmap" }];
    writeFileSync(join(path, "10-skiff.conflist"), JSON.stringify({ name: "skiff-vm", plugins }));
  };
  list("old", "10.244.0.0/24");
  routes = [{ cidr: "10.244.0.0/24", device: "skiff-5bce98f7" }];
  const old = { name: "skiff-vm", bridge: "skiff-5bce98f7", podCidr: "10.244.0.0/16", cgroupRoot: "/kubepods" };
  const kept = { ...old, serviceCidr: "10.96.0.0/16" };
  expect(claim("old")).toEqual(kept);
  expect(claim("old")).toEqual(kept);
  // Of two with the same bridge, the first to start again uses it.
  list("other", "10.244.0.0/24");
  expect(claim("other").bridge).not.toBe("skiff-5bce98f7");
  list("elsewhere", "10.9.0.0/24");
  rmSync(join(root, "old"), { recursive: true });
  expect(claim("elsewhere")).toMatchObject({ bridge: "skiff-5bce98f7", podCidr: "10.9.0.0/24" });
});

test("ignores a claim that its data folder does not confirm: the start crashed in between", () => {
  const { bridge } = claim("one");
  rmSync(join(root, "one", "network.json"));
  expect(claim("two").podCidr).toBe("10.244.0.0/16");
  expect(readdirSync(machine.clusters)).not.toContain(`${bridge}.json`);
});

// A file may be empty or have any content after a loss of power.
const damages = ["", "{", "null", "{}", '{"name":"n","bridge":"b","podCidr":"no block","cgroupRoot":"/c"}'];

describe.each(damages)("a file that holds %j", (damage) => {
  const fileOf = (name: string) => join(root, name, "network.json");
  const claimOf = ({ bridge }: { bridge: string }) => join(machine.clusters, `${bridge}.json`);

  test("of another cluster: its claim is used", () => {
    const one = claim("one");
    writeFileSync(fileOf("one"), damage);
    expect(claim("two").podCidr).toBe("10.245.0.0/16");
    expect(() => claim("three", one.podCidr)).toThrow(`of the cluster in ${join(root, "one")}`);
    expect(readdirSync(machine.clusters)).toContain(`${one.bridge}.json`);
    expect(warnings[0]).toContain(fileOf("one"));
  });

  test("as another cluster's claim: it is passed over, and written again when its cluster starts", () => {
    const one = claim("one");
    writeFileSync(claimOf(one), damage);
    // Its bridge exists while its pods run.
    routes = [{ cidr: "10.244.0.0/24", device: one.bridge }];
    expect(claim("two").podCidr).toBe("10.245.0.0/16");
    expect(warnings[0]).toContain(claimOf(one));
    expect(claim("one")).toEqual(one);
    expect(() => claim("three", one.podCidr)).toThrow("overlaps");
    expect(JSON.parse(readFileSync(claimOf(one), "utf8"))).toEqual({ root: join(root, "one"), ...one });
  });

  test("as the cluster's own: it is written again from its claim", () => {
    const one = claim("one", "10.250.0.0/16");
    writeFileSync(fileOf("one"), damage);
    expect(readNetwork(folder("one"), log, machine.clusters)).toEqual(one);
    expect(claim("one")).toEqual(one);
    expect(JSON.parse(readFileSync(fileOf("one"), "utf8"))).toEqual(one);
    expect(warnings[0]).toContain(fileOf("one"));
  });

  test("of the cluster itself, without a claim: the error names the file", () => {
    const one = claim("one");
    rmSync(claimOf(one));
    writeFileSync(fileOf("one"), damage);
    expect(() => claim("one")).toThrow(new RegExp(`^${fileOf("one")} is damaged \\(.+\\): restore a copy of it`));
  });
});

test("a start that crashed before it wrote its data folder leaves no second claim", () => {
  const { bridge } = claim("one");
  rmSync(join(root, "one", "network.json"));
  const one = claim("one");
  expect(one.bridge).not.toBe(bridge);
  expect(readdirSync(machine.clusters).filter((name) => name.endsWith(".json"))).toEqual([`${one.bridge}.json`]);
});

test("reads a lost network from the pods' configuration, with the cgroups of its bridge", () => {
  const one = claim("one");
  const path = join(folder("one").agents, "containerd", "containerd", "net.d");
  mkdirSync(path, { recursive: true });
  const plugins = [{ type: "bridge", bridge: one.bridge, ipam: { ranges: [[{ subnet: "10.244.0.0/24" }]] } }];
  writeFileSync(join(path, "10-skiff.conflist"), JSON.stringify({ name: one.name, plugins }));
  rmSync(join(root, "one", "network.json"));
  expect(claim("one")).toEqual(one);
  rmSync(join(root, "one", "network.json"));
  writeFileSync(join(path, "10-skiff.conflist"), '{"plugins":[]}');
  expect(() => claim("one")).toThrow("10-skiff.conflist is damaged");
});
