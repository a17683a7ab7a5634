import { LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { problemsOf } from "./problems.ts";
import { serviceOptions } from "./service.ts";
import { step } from "./step.ts";

/** A scenario: how the simulated cloud is set up, and what happens in it. */
const scenario = serviceOptions.extend({ steps: z.array(step).default([]) });
export type Scenario = z.input<typeof scenario>;

/**
 * Reads a scenario in YAML or JSON.
 * @param file its name, for the messages
 * @throws Error with one line per problem: file, line, column, path, what was found, what is allowed
 */
export function parseScenario(text: string, file: string): Scenario {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const where = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    throw new Error(document.errors.map((error) => `${where(error.pos[0])}: ${error.message}`).join("\n"));
  }
  const content: unknown = document.toJS({ maxAliasCount: 100 }) ?? {};
  const result = scenario.safeParse(content);
  if (result.success) return content as Scenario;
  const problems = problemsOf(result.error, content)
    .map(({ path, message }) => ({
      offset: offsetOf(document, path),
      path: path.join(".") || "scenario",
      message,
    }))
    .sort((a, b) => a.offset - b.offset);
  throw new Error(
    problems.map(({ offset, path, message }) => `${where(offset)}: ${path}: ${message}`).join("\n"),
  );
}

/** Where the deepest node on the path begins. */
function offsetOf(document: ReturnType<typeof parseDocument>, path: readonly (string | number)[]): number {
  for (let depth = path.length; depth >= 0; depth--) {
    const node: unknown = document.getIn(path.slice(0, depth), true);
    const range = (node as { range?: [number, number, number] } | undefined)?.range;
    if (range) return range[0];
  }
  return 0;
}
