import type { Shape } from "#api";
import type { Json, JsonObject } from "#base";

/** Visits a type at each place where it occurs, and not only at the first one in a kind. */
export const everywhere = process.env["SKIFF_EVERY_FIELD"] === "1";

export type Path = readonly string[];

/** The path of every field below a shape; a type inside itself is not entered. */
export function fieldsOf(shape: Shape): Path[] {
  const paths: Path[] = [];
  const met = new Set<string>();
  const walk = (at: Shape, path: Path, inside: readonly string[]): void => {
    if (at.type === "list") walk(at.item, [...path, "0"], inside);
    else if (at.type === "map") {
      paths.push([...path, "a"]);
      walk(at.value, [...path, "a"], inside);
    } else if (at.type === "message" && !inside.includes(at.name) && (everywhere || !met.has(at.name))) {
      met.add(at.name);
      for (const [name, { shape: below }] of at.fields) {
        paths.push([...path, name]);
        walk(below, [...path, name], [...inside, at.name]);
      }
    }
  };
  walk(shape, [], []);
  return paths;
}

/** A copy of an object with another value at a path; missing parents are created, and lists have one item. */
export function withValue(object: Json, [step, ...rest]: Path, value: Json): Json {
  if (step === undefined) return value;
  const below = (there: Json | undefined) => withValue(there ?? (rest[0] === "0" ? [] : {}), rest, value);
  if (step === "0") return [below((object as Json[])[0]), ...(object as Json[]).slice(1)];
  return { ...(object as JsonObject), [step]: below((object as JsonObject)[step]) };
}

/** The type of which the last step of a path is a field; undefined for the items of lists and the values of maps. */
export function ownerOf(shape: Shape, path: Path): string | undefined {
  const owner = shapeAt(shape, path.slice(0, -1));
  return owner?.type === "message" ? owner.name : undefined;
}

/** The shape at the end of a path. */
export function shapeAt(shape: Shape, [step, ...rest]: Path): Shape | undefined {
  if (step === undefined) return shape;
  if (shape.type === "list") return shapeAt(shape.item, rest);
  if (shape.type === "map") return shapeAt(shape.value, rest);
  if (shape.type !== "message") return undefined;
  const field = shape.fields.get(step);
  return field && shapeAt(field.shape, rest);
}
