type Labels = Readonly<Record<string, string>>;

interface Sample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** A scrape of /metrics in the text format, read. */
export class Scrape {
  readonly text: string;
  readonly #samples: readonly Sample[];

  constructor(text: string) {
    this.text = text;
    this.#samples = text.split("\n").flatMap((line) => {
      const [, name, labels = "", value] = SAMPLE.exec(line) ?? [];
      if (name === undefined) return [];
      return [{ name, labels: labelsOf(labels), value: Number(value) }];
    });
  }

  /** All series of this name that have these labels. */
  series(name: string, labels: Labels = {}): readonly Sample[] {
    return this.#samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    );
  }

  /** The one value; undefined where there is no such series. Throws where there are several. */
  value(name: string, labels: Labels = {}): number | undefined {
    const found = this.series(name, labels);
    if (found.length > 1) throw new Error(`${found.length} series of ${name} ${JSON.stringify(labels)}`);
    return found[0]?.value;
  }

  /** Over all series that have these labels; 0 for none. */
  sum(name: string, labels: Labels = {}): number {
    return this.series(name, labels).reduce((sum, { value }) => sum + value, 0);
  }
}

function labelsOf(text: string): Labels {
  return Object.fromEntries(
    [...text.matchAll(LABEL)].map(([, name = "", value = ""]) => [
      name,
      value.replace(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char)),
    ]),
  );
}

export async function scrape(url: string, headers: Record<string, string> = {}): Promise<Scrape> {
  const response = await fetch(`${url}/metrics`, { headers });
  if (!response.ok) throw new Error(`/metrics answered ${response.status}`);
  return new Scrape(await response.text());
}
