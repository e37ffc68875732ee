import type { LineCounter, YAMLError } from "yaml";

/** libyaml's messages for the codes of the library here. */
const words: Partial<Record<YAMLError["code"], string>> = {
  BLOCK_AS_IMPLICIT_KEY: "mapping values are not allowed in this context",
  MULTILINE_IMPLICIT_KEY: "could not find expected ':'",
  TAB_AS_INDENT: "found character that cannot start any token",
  BAD_SCALAR_START: "found character that cannot start any token",
  BAD_INDENT: "did not find expected key",
  MISSING_CHAR: "could not find expected ':'",
  BAD_DQ_ESCAPE: "found unknown escape character",
};

/** The error of go-yaml for a document, as far as both parsers find the same fault. */
export function syntaxWords(error: YAMLError, lines: LineCounter): string {
  const { line } = lines.linePos(error.pos[0]);
  const what = words[error.code] ?? error.message.split("\n")[0]!.replace(/ at line \d+, column \d+:?$/, "");
  // libyaml counts from 0 and leaves out the first line.
  return line > 1 ? `line ${line}: ${what}` : what;
}
