import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../ports/clock.ts";
import { figuresOf } from "./figures.ts";
import { INSTANCE_FAMILIES, isShown } from "./instance-series.ts";
import type { Family, Metrics, Sample } from "./metrics.ts";
import { Recent } from "./recent.ts";
import { END, escapeLabel, type Format, formatBound, formatValue, header } from "./text-format.ts";
import type { InstanceView } from "./view.ts";

/** Work for so long, then let others have the event loop. */
const SLICE_MS = 4;
/** Instances whose lines become one Buffer per family: bytes outside the heap, and no string that has to be flattened later. */
const INSTANCES_PER_BUFFER = 128;
const SAMPLES_PER_LOOK = 256;

export interface ExpositionOptions {
  readonly metrics: Metrics;
  /**
   * Called once per scrape: the instances that this process owns, and those that left less than 15 minutes ago. Views that
   * are made as they are taken are made within the slices; what they are made from must not change under the walk.
   */
  readonly instances: () => Iterable<InstanceView>;
  /** How long the last end of a task is shown, milliseconds. */
  readonly keepEndsMs: () => number;
  readonly clock: Clock;
}

/** `/metrics`, computed at each scrape in slices. Scrapes that overlap share one computation. */
export class Exposition {
  readonly #options: ExpositionOptions;
  readonly #recent = new Recent();
  readonly #running = new Map<Format, Promise<readonly Buffer[]>>();

  constructor(options: ExpositionOptions) {
    this.#options = options;
  }

  render(format: Format): Promise<readonly Buffer[]> {
    const running = this.#running.get(format);
    if (running) return running;
    const started = this.#render(format).finally(() => this.#running.delete(format));
    this.#running.set(format, started);
    return started;
  }

  async #render(format: Format): Promise<readonly Buffer[]> {
    const slices = new Slices(this.#options.clock);
    const fixed = await this.#fixed(format, slices);
    const instances = await this.#instances(format, slices);
    return [...fixed, ...instances, Buffer.from(END[format])];
  }

  async #fixed(format: Format, slices: Slices): Promise<readonly Buffer[]> {
    const buffers: Buffer[] = [];
    for (const family of this.#options.metrics.families()) {
      let text = header(family, format);
      let looked = 0;
      for (const sample of await family.samples()) {
        text += sampleLine(family, sample, format);
        if (++looked % SAMPLES_PER_LOOK === 0 && slices.spent()) {
          buffers.push(Buffer.from(text));
          text = "";
          await slices.pause();
        }
      }
      buffers.push(Buffer.from(text));
      if (slices.spent()) await slices.pause();
    }
    return buffers;
  }

  /** All samples of a family must stand together, and an instance is looked at once: so lines gather per family. */
  async #instances(format: Format, slices: Slices): Promise<readonly Buffer[]> {
    const { metrics, clock } = this.#options;
    const now = clock.now();
    const context = {
      names: metrics.taskNames,
      recent: this.#recent,
      now,
      endsSince: now - this.#options.keepEndsMs(),
    };
    const gathered = INSTANCE_FAMILIES.map(({ spec, lines }) => ({
      lines,
      text: "",
      buffers: [Buffer.from(header(spec, format))],
    }));
    const flush = (): void => {
      for (const family of gathered) {
        if (family.text !== "") family.buffers.push(Buffer.from(family.text));
        family.text = "";
      }
    };
    let pending = 0;
    for (const view of this.#options.instances()) {
      if (!isShown(view, now)) continue;
      const figures = figuresOf(view, context);
      for (const family of gathered) family.text += family.lines(figures);
      if (++pending === INSTANCES_PER_BUFFER) {
        flush();
        pending = 0;
      }
      if (slices.spent()) await slices.pause();
    }
    flush();
    this.#recent.forgetUnseen(now);
    return gathered.flatMap((family) => family.buffers);
  }
}

class Slices {
  readonly #clock: Clock;
  #started: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#started = clock.monotonic();
  }

  spent(): boolean {
    return this.#clock.monotonic() - this.#started >= SLICE_MS;
  }

  async pause(): Promise<void> {
    await nextTurn();
    this.#started = this.#clock.monotonic();
  }
}

function sampleLine(family: Family, sample: Sample, format: Format): string {
  let labels = "";
  for (const [name, value] of Object.entries(sample.labels)) {
    const text =
      name === "le" && family.type === "histogram" ? formatBound(String(value), format) : String(value);
    labels += `${labels === "" ? "" : ","}${name}="${escapeLabel(text)}"`;
  }
  return `${sample.name}${labels === "" ? "" : `{${labels}}`} ${formatValue(sample.value)}\n`;
}
