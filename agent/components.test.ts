import { expect, test } from "vitest";
import { type Log, silentLog } from "#base";
import { type Component, startComponents } from "./components.ts";

function components(...names: string[]) {
  const steps: string[] = [];
  const list: Component[] = names.map((name) => ({
    name,
    start: async () => {
      await Promise.resolve();
      steps.push(`start ${name}`);
      return {
        stop: async () => {
          await Promise.resolve();
          steps.push(`stop ${name}`);
        },
      };
    },
  }));
  return { steps, list };
}

const log = silentLog;

test("starts components in order and stops them in reverse order, once", async () => {
  const { steps, list } = components("a", "b", "c");
  const running = await startComponents(list, { log });
  expect(steps).toEqual(["start a", "start b", "start c"]);
  steps.length = 0;
  await Promise.all([running.stop(), running.stop()]);
  await running.stop();
  expect(steps).toEqual(["stop c", "stop b", "stop a"]);
});

test("a failing start stops the components before it and starts none after it", async () => {
  const { steps, list } = components("a", "b", "d");
  const failing: Component = {
    name: "c",
    start: () => {
      throw new Error("no socket");
    },
  };
  await expect(startComponents([...list.slice(0, 2), failing, list[2]!], { log })).rejects.toThrow("no socket");
  expect(steps).toEqual(["start a", "start b", "stop b", "stop a"]);
});

test("is ready when every component is ready", async () => {
  const { list } = components("a");
  const slow = Promise.withResolvers<void>();
  const running = await startComponents([...list, { name: "b", start: () => ({ ready: slow.promise, stop() {} }) }], {
    log,
  });
  let ready = false;
  const waiting = running.ready?.then(() => {
    ready = true;
  });
  await new Promise(setImmediate);
  expect(ready).toBe(false);
  slow.resolve();
  await waiting;
  expect(ready).toBe(true);
});

test("a failing stop is logged and does not hold up the others", async () => {
  const { steps, list } = components("a", "c");
  const warnings: unknown[] = [];
  const warn: Log["warn"] = (message, fields) => void warnings.push({ message, ...fields });
  const failing: Component = { name: "b", start: () => ({ stop: () => Promise.reject(new Error("it hangs")) }) };
  const running = await startComponents([list[0]!, failing, list[1]!], { log: { ...silentLog, warn } });
  await running.stop();
  expect(steps.slice(2)).toEqual(["stop c", "stop a"]);
  expect(warnings).toEqual([{ message: "a component could not be stopped", component: "b", error: "it hangs" }]);
});

test("starts no further component once the signal has aborted", async () => {
  const { steps, list } = components("a", "c");
  const aborting = new AbortController();
  const abort: Component = {
    name: "b",
    start: () => {
      aborting.abort();
      return { stop() {} };
    },
  };
  const running = await startComponents([list[0]!, abort, list[1]!], { log, signal: aborting.signal });
  await running.stop();
  expect(steps).toEqual(["start a", "stop a"]);
});
