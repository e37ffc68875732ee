import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Adds up the reports of vitest and of the conformance lane: `node count.ts FOLDER [STEP...]`, the steps that failed.
 * Names these and each test that failed with the first line of why, then prints one line of counts. Exits with 1 when
 * anything failed or nothing ran.
 */
interface Report {
  passed?: number;
  failed?: number;
  failures?: { name: string; message: string }[];
  numPassedTests?: number;
  numFailedTests?: number;
  numPendingTests?: number;
  numTodoTests?: number;
  testResults?: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

const firstLine = (text: string | undefined): string => (text ?? "").trim().split("\n")[0]!;

function failuresOf(report: Report): string[] {
  const suite = (report.failures ?? []).map(({ name, message }) => `${name}: ${firstLine(message)}`);
  const tests = (report.testResults ?? []).flatMap((file) => {
    const failed = file.assertionResults.filter(({ status }) => status === "failed");
    // A file that could not be loaded or set up has no failed test of its own.
    if (failed.length === 0) return file.status === "failed" ? [`${file.name}: ${firstLine(file.message)}`] : [];
    return failed.map((test) => `${file.name}: ${test.fullName}: ${firstLine(test.failureMessages[0])}`);
  });
  return [...suite, ...tests];
}

const [folder = ".", ...steps] = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
for (const file of readdirSync(folder)) {
  const text = readFileSync(join(folder, file), "utf8");
  if (text.trim() === "") continue;
  const report = JSON.parse(text) as Report;
  total.passed += report.numPassedTests ?? report.passed ?? 0;
  total.failed += report.numFailedTests ?? report.failed ?? 0;
  total.skipped += (report.numPendingTests ?? 0) + (report.numTodoTests ?? 0);
  for (const failure of failuresOf(report)) console.log(`failed (${file}): ${failure}`);
}
if (steps.length > 0) console.log(`failed steps: ${steps.join(", ")}`);
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = steps.length > 0 || total.failed > 0 || total.passed === 0 ? 1 : 0;
