/** A version as numbers, or undefined where it is malformed: `1.2.3`, also with a `v`. */
function parse(text: string): readonly number[] | undefined {
  const found = /^v?(0|[1-9]\d*)((?:\.(?:0|[1-9]\d*))+)(?:[-+].*)?$/.exec(text);
  return found ? `${found[1]}${found[2]}`.split(".").map(Number) : undefined;
}

/** Negative where the first is lower. */
export function compareVersions(left: string, right: string): number {
  const [a = [], b = []] = [parse(left), parse(right)];
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The highest version that the node speaks, which is any 1.x; undefined where there is none. */
export function highestVersion(versions: readonly string[]): string | undefined {
  const spoken = versions.filter((version) => parse(version)?.[0] === 1);
  return spoken.sort(compareVersions).at(-1);
}
