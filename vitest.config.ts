import { defineConfig } from "vitest/config";

/** Where counts go for those who add them up (.ci/run). */
const report = process.env["SKIFF_TEST_REPORT"];

export default defineConfig({
  test: {
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
    projects: [
      {
        test: {
          name: "unit",
          include: ["{lib,agent,functions,infra,test}/**/*.test.ts"],
          exclude: ["test/aws/**", "test/e2e/**", "**/*.e2e.test.ts", "**/node_modules/**"],
          testTimeout: 120_000,
          // Loading the code takes longer than most files' tests: files that run in one process share it.
          isolate: false,
          // Vitest would leave one core idle; many of these tests wait for a disk or for another process.
          maxWorkers: "100%",
        },
      },
      {
        test: {
          name: "aws",
          include: ["test/aws/**/*.test.ts"],
          globalSetup: ["test/aws/setup.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts", "agent/**/*.e2e.test.ts"],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
