/** Amounts of bytes that are no whole number: `512m` is half a byte, and was to be 512 Mi. */
export const fractional = (
  amounts: Readonly<Record<string, string>> | undefined,
  path: string,
  names: readonly string[],
): string[] =>
  names.flatMap((name) => {
    const amount = amounts?.[name];
    if (amount === undefined || !/[num]$/.test(amount)) return [];
    return [`${path}[${name}]: fractional byte value "${amount}" is invalid, must be an integer`];
  });
