/** Creates a value on first use, once. */
export const once = <T>(make: () => T): (() => T) => {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};

/** A port whose code is loaded at the first call, which keeps cold starts short. */
export function lazily<Port extends object>(open: () => Promise<Port>): Port {
  const opened = once(open);
  const method =
    (name: keyof Port) =>
    async (...asked: unknown[]) =>
      ((await opened())[name] as (...asked: unknown[]) => unknown)(...asked);
  return new Proxy({} as Port, { get: (_port, name) => method(name as keyof Port) });
}
