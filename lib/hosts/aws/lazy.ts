/** Makes a value when it is first asked for, once. */
export const once = <T>(make: () => T): (() => T) => {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};

/** A port whose code is loaded when it is first used: a cold function pays for what it touches. */
export function lazily<Port extends object>(open: () => Promise<Port>): Port {
  const opened = once(open);
  const method =
    (name: keyof Port) =>
    async (...asked: unknown[]) =>
      ((await opened())[name] as (...asked: unknown[]) => unknown)(...asked);
  return new Proxy({} as Port, { get: (_port, name) => method(name as keyof Port) });
}
