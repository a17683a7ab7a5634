import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DEMO_KEY } from "../../src/simulator/project.ts";
import type { WorstWindow } from "../../src/simulator/request-log.ts";
import type { FleetDaemon, RawConfig } from "./fleet-daemon.ts";

export interface CloudOptions {
  /** In all, shared out evenly over the projects and over the engines. */
  readonly instances: number;
  readonly projects: number;
  readonly engines: readonly string[];
  /** Transitions per second over all instances. */
  readonly rate: number;
}

const idOf = (project: number): string => `0605768a3300d5762fd0c002e2bb${String(project).padStart(4, "0")}`;

/** The simulated cloud as a process of its own, and the part of a configuration that leads to it. */
export class CloudProcess {
  readonly #origin: string;
  readonly #projects: number;

  private constructor(origin: string, projects: number) {
    this.#origin = origin;
    this.#projects = projects;
  }

  static async start(
    { folder, processes }: FleetDaemon,
    { instances, projects, engines, rate }: CloudOptions,
  ): Promise<CloudProcess> {
    const numbers = Array.from({ length: projects }, (_, number) => number);
    const file = join(folder, "scenario.json");
    writeFileSync(
      file,
      JSON.stringify({
        log_size: 200_000,
        projects: numbers.map((number) => ({
          id: idOf(number),
          name: number === 0 ? "eu-west-101" : `eu-west-101_${number}`,
          keys: [DEMO_KEY],
        })),
        steps: numbers.map((number) => ({
          project: idOf(number),
          load: {
            instances: instances / projects,
            engines,
            rate: rate / projects,
            // A fleet at rest has nothing open.
            ...(rate === 0 ? { open: 0 } : {}),
          },
        })),
      }),
    );
    const line = await processes.simulator(["--listen", "127.0.0.1:0", "--scenario", file]);
    return new CloudProcess(/listening on (\S+)/.exec(line)?.[1] ?? "", projects);
  }

  /** The projects of a configuration, all of whose instances are discovered. */
  projects(requestsPerSecond: number, others: RawConfig = {}): readonly RawConfig[] {
    return Array.from({ length: this.#projects }, (_, number) => ({
      name: `fleet-${number}`,
      region: "eu-west-101",
      project_id: idOf(number),
      endpoint: this.#origin,
      credentials: DEMO_KEY,
      requests_per_second: requestsPerSecond,
      discover: {},
      ...others,
    }));
  }

  /** The most calls of one project within any second, over the last ones. */
  async mostPerSecond(): Promise<number> {
    let most = 0;
    for (let number = 0; number < this.#projects; number++) {
      const answer = await fetch(`${this.#origin}/_control/worst-window?project=${idOf(number)}&length=1s`);
      most = Math.max(most, ((await answer.json()) as WorstWindow).count);
    }
    return most;
  }
}
