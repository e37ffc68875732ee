import { isMap, LineCounter, type Node, type Pair, parseDocument, stringify, visit } from "yaml";
import { badRequest, type Json } from "#base";

/** Parses one YAML document. Duplicate keys are reported in upstream's words, the last one counts. */
export function parseYaml(text: string): { json: Json; duplicates: string[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: "1.1",
    uniqueKeys: false,
    lineCounter: lines,
    stringKeys: true,
    resolveKnownTags: false,
  });
  const [error] = document.errors;
  if (error) {
    const line = error.linePos?.[0].line;
    throw badRequest(
      `error converting YAML to JSON: yaml: ${line === undefined ? "" : `line ${line}: `}${error.message.split("\n")[0]}`,
    );
  }
  const duplicates: string[] = [];
  visit(document, {
    Map(_key, node, path) {
      const seen = new Set<string>();
      for (const pair of node.items) {
        const key = keyOf(pair);
        if (seen.has(key)) duplicates.push(yamlPath([...path, node], key));
        seen.add(key);
      }
    },
  });
  return { json: document.toJS({ maxAliasCount: 100 }) as Json, duplicates };
}

const keyOf = (pair: Pair): string => String((pair.key as { value?: unknown } | null)?.value ?? pair.key);

function yamlPath(path: readonly unknown[], key: string): string {
  let text = "";
  for (const [index, step] of path.entries()) {
    const child = path[index + 1];
    if (step !== null && typeof step === "object" && "items" in step && !isMap(step as Node)) {
      text += `[${(step as { items: unknown[] }).items.indexOf(child)}]`;
    } else if (step !== null && typeof step === "object" && "key" in step)
      text += `${text === "" ? "" : "."}${keyOf(step as Pair)}`;
  }
  return text === "" ? key : `${text}.${key}`;
}

/** Prints JSON data as YAML. */
export const printYaml = (value: unknown): string => stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 });
