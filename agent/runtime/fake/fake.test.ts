import { RuntimeError } from "#agent/runtime";
import { systemClock } from "#base";
import { runtimeConformance } from "../conformance/index.ts";
import { fakeRuntime } from "./index.ts";

runtimeConformance("fake", async () => {
  const missingImage = "registry.invalid/none:1";
  const runtime = fakeRuntime({
    clock: systemClock,
    pullError: (reference) =>
      reference === missingImage ? new RuntimeError("notFound", `${reference}: not found`) : undefined,
  });
  return { runtime, image: "busybox:latest", missingImage, close: () => runtime.close() };
});
