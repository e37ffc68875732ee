import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Adds up the reports of vitest and of the conformance lane: `node count.ts FOLDER FAILED`. Exits with 1 when anything failed or nothing ran. */
const [folder = ".", failedBefore = "0"] = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
for (const file of readdirSync(folder)) {
  const text = readFileSync(join(folder, file), "utf8");
  if (text.trim() === "") continue;
  const report = JSON.parse(text) as Record<string, number>;
  total.passed += report["numPassedTests"] ?? report["passed"] ?? 0;
  total.failed += report["numFailedTests"] ?? report["failed"] ?? 0;
  total.skipped += (report["numPendingTests"] ?? 0) + (report["numTodoTests"] ?? 0);
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = failedBefore !== "0" || total.failed > 0 || total.passed === 0 ? 1 : 0;
