import { isRuntimeError, type RuntimeCondition, type RuntimeInfo } from "#agent/runtime";
import type { Engine } from "./engine.ts";

interface EngineInfo {
  CgroupDriver: string;
  DockerRootDir: string;
}

/** The engine's name and version, and what this driver makes of it. An engine that does not answer is not ready. */
export async function readInfo(engine: Engine): Promise<RuntimeInfo> {
  const { name, version } = await engine.version();
  let found: EngineInfo | undefined;
  let images: { Size: number }[] = [];
  let trouble = "";
  try {
    found = await engine.json<EngineInfo>("GET", "/info");
    images = await engine.json<{ Size: number }[]>("GET", "/images/json");
  } catch (error) {
    if (!isRuntimeError(error)) throw error;
    trouble = error.message;
  }
  const runtime: RuntimeCondition = {
    type: "RuntimeReady",
    status: trouble === "",
    reason: trouble === "" ? "" : "DockerDaemonNotReady",
    message: trouble,
  };
  return {
    name,
    version,
    conditions: [runtime, { type: "NetworkReady", status: true, reason: "", message: "" }],
    cgroupDriver: found?.CgroupDriver === "systemd" ? "systemd" : "cgroupfs",
    features: {
      incremental: true,
      images: true,
      podNetwork: true,
      exec: true,
      userNamespaces: false,
      recursiveReadOnlyMounts: false,
      strictGroups: false,
    },
    // Layers that images share are counted for each of them.
    imageFilesystem: found && {
      mountpoint: found.DockerRootDir,
      usedBytes: images.reduce((sum, { Size }) => sum + Size, 0),
      inodesUsed: 0,
    },
  };
}
