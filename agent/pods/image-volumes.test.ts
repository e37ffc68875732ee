import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { RuntimeError } from "#agent/runtime";
import { noVolumes } from "#agent/volumes";
import { Cluster, condition, makeContainer, makePod } from "./testing.ts";

const mounting = (name: string) =>
  makePod(name, {
    spec: {
      containers: [makeContainer("main", { volumeMounts: [{ name: "files", mountPath: "/files" }] })],
      volumes: [{ name: "files", image: { reference: "files:1", pullPolicy: "IfNotPresent" } }],
    },
  });

// Upstream's getImageVolumes: the image is pulled as a container's, and mounted read-only with the container.
test("mounts a volume of an image with the container that uses it, once the image is pulled", async () => {
  const folder = await mkdtemp(join(tmpdir(), "skiff-image-"));
  let missing = true;
  const cluster = new Cluster({
    volumes: () => ({ ...noVolumes(), podFolder: (uid) => join(folder, uid), list: async () => [] }),
    pullError: (name) => (missing && name === "files:1" ? new RuntimeError("registry", "no such host") : undefined),
  });
  const mounted: string[] = [];
  cluster.runtime.images.mount = async (id, path) => {
    const images = await cluster.runtime.images.list();
    mounted.push(`${images.find((image) => image.id === id)?.tags[0]} ${path}`);
  };
  const starts: unknown[] = [];
  const { pods } = cluster.runtime;
  const startContainer = pods.startContainer.bind(pods);
  pods.startContainer = (start) => {
    starts.push(start.container.mounts.find(({ containerPath }) => containerPath === "/files"));
    return startContainer(start);
  };
  const { metadata } = cluster.create(mounting("p"));
  await cluster.settle();
  expect(cluster.status("p").containerStatuses![0]!.state!.waiting).toMatchObject({ reason: "ErrImagePull" });
  expect(cluster.events).toContain('Warning Failed Failed to pull image "files:1": no such host');
  missing = false;
  await cluster.clock.forward(20_000);
  expect(condition(cluster.status("p"), "Ready")).toBe("True");
  const path = join(folder, metadata.uid!, "volumes", "kubernetes.io~image", "files");
  expect(mounted).toEqual([`files:1 ${path}`]);
  expect(starts).toMatchObject([{ hostPath: path, readOnly: true }]);
  await cluster.manager.stop();
  await rm(folder, { recursive: true });
});

test("a runtime that cannot mount images leaves the container waiting, with the volume's name", async () => {
  const folder = await mkdtemp(join(tmpdir(), "skiff-image-"));
  const cluster = new Cluster({
    volumes: () => ({ ...noVolumes(), podFolder: (uid) => join(folder, uid), list: async () => [] }),
  });
  cluster.create(mounting("p"));
  await cluster.settle();
  expect(cluster.status("p").containerStatuses![0]!.state!.waiting).toEqual({
    reason: "CreateContainerError",
    message: 'failed to mount image volume "files": volumes of images are not supported by this runtime',
  });
  await cluster.manager.stop();
  await rm(folder, { recursive: true });
});
