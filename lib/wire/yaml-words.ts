import type { LineCounter, YAMLError } from "yaml";

/** What libyaml says where the library here has these codes. */
const words: Partial<Record<YAMLError["code"], string>> = {
  BLOCK_AS_IMPLICIT_KEY: "mapping values are not allowed in this context",
  MULTILINE_IMPLICIT_KEY: "could not find expected ':'",
  TAB_AS_INDENT: "found character that cannot start any token",
  BAD_SCALAR_START: "found character that cannot start any token",
  BAD_INDENT: "did not find expected key",
  MISSING_CHAR: "could not find expected ':'",
  BAD_DQ_ESCAPE: "found unknown escape character",
};

/** Says what is wrong with a document as go-yaml does, as far as both parsers see the same fault. */
export function syntaxWords(error: YAMLError, lines: LineCounter): string {
  const { line } = lines.linePos(error.pos[0]);
  const what = words[error.code] ?? error.message.split("\n")[0]!.replace(/ at line \d+, column \d+:?$/, "");
  // libyaml counts from 0 and says nothing of the first line.
  return line > 1 ? `line ${line}: ${what}` : what;
}
