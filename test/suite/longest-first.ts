import { BaseSequencer, type TestSpecification } from "vitest/node";
import { nameOfTest } from "./halves.ts";

/**
 * Files that take longest, the longest first: started last, one of them would run alone at the end. The order need
 * not be exact. `npx vitest run --reporter=json` tells the durations.
 */
export const LONGEST = [
  "chaos/replicas",
  "e2e/dashboard",
  "alerting/alertmanager",
  "chaos/kill",
  "deploy/image",
  "page/status-page",
  "e2e/stop",
  "alerts/mutants",
  "e2e/reload",
  "e2e/demo",
  "e2e/overload",
  "deploy/compose",
  "e2e/alerts",
  "e2e/receiver",
  "e2e/credentials-environment",
  "e2e/full-disk",
  "e2e/credentials-forms",
  "cli/beside-daemon",
  "e2e/clock",
  "e2e/stop-without-store",
  "http/ack",
  "chaos/replicas-start",
  "alerts/rules",
  "app/discovery-size",
  "e2e/clock-process",
  "e2e/network",
  "http/event-stream",
  "cli/hangup",
  "e2e/credentials-files",
  "e2e/secrets",
  "chaos/replicas-store-loss",
  "store/sqlite-file",
].map((name) => `test/${name}.test.ts`);

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const index = LONGEST.indexOf(nameOfTest(moduleId));
      return index === -1 ? LONGEST.length : index;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}
