import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Template } from "./resolve.ts";

/** The templates of an assembly (`cdk.out`), by name of the stack. */
export function readTemplates(folder: string): Record<string, Template> {
  const suffix = ".template.json";
  return Object.fromEntries(
    readdirSync(folder)
      .filter((file) => file.endsWith(suffix))
      .map((file) => [file.slice(0, -suffix.length), JSON.parse(readFileSync(join(folder, file), "utf8")) as Template]),
  );
}
