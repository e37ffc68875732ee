/**
 * Indents the lines that begin inside brackets, braces or quotes. libyaml accepts them at any column, also after tabs;
 * the library here requires them deeper than the block around them. Other lines, and all line numbers, are unchanged.
 */
export function indentFlow(text: string): string {
  const scan: Scan = { depth: 0, quote: "", block: -1 };
  const lines = text.split("\n");
  let widest = 0;
  for (const line of lines) widest = Math.max(widest, indentOf(line));
  const indentation = " ".repeat(Math.min(widest, 200) + 2);
  return lines
    .map((line) => {
      const inside = scan.depth > 0 || scan.quote !== "";
      follow(scan, line);
      return inside ? indentation + line.trimStart() : line;
    })
    .join("\n");
}

interface Scan {
  /** How many brackets and braces are open. */
  depth: number;
  /** The quote that is open, or "". */
  quote: string;
  /** The indentation of the line with a block scalar's header, which its text exceeds; -1 outside of one. */
  block: number;
}

const indentOf = (line: string): number => line.length - line.trimStart().length;

function follow(scan: Scan, line: string): void {
  if (scan.block >= 0) {
    if (line.trim() === "" || indentOf(line) > scan.block) return;
    scan.block = -1;
  }
  let before = " ";
  for (let at = 0; at < line.length; at++) {
    const char = line[at]!;
    if (scan.quote !== "") {
      if (char === "\\" && scan.quote === '"') at++;
      else if (char === scan.quote) scan.quote = "";
    } else if (char === "#" && /\s/.test(before)) return;
    else if ((char === '"' || char === "'") && /[\s[{,:]/.test(before)) scan.quote = char;
    else if ((char === "[" || char === "{") && (scan.depth > 0 || /[\s:-]/.test(before))) scan.depth++;
    else if ((char === "]" || char === "}") && scan.depth > 0) scan.depth--;
    before = char;
  }
  if (scan.depth === 0 && scan.quote === "" && /(?:^|[\s:-])[|>][-+0-9]*\s*(?:#.*)?$/.test(line))
    scan.block = indentOf(line);
}
