const ALLOWED = /^[A-Za-z0-9_.-]{1,64}$/;
const REFUSED = /[^A-Za-z0-9_.-]/gu;
const LONGEST = 64;
const MOST_NAMES = 200;
/** The cloud decides on the raw names: what is remembered of them has an end too. */
const MOST_RAW_NAMES = 1000;

/** Task names as label values: a small alphabet, at most 64 characters, at most 200 per project, the rest `other`. */
export class TaskNames {
  readonly #projects = new Map<string, Project>();
  readonly #onCapped: (project: string) => void;

  /** `onCapped` is called once per project, when its names become too many. */
  constructor(onCapped: (project: string) => void = () => undefined) {
    this.#onCapped = onCapped;
  }

  label(project: string, name: string): string {
    return this.#name(project, name).label;
  }

  /** `task_name="…"`, as it stands between the braces of a sample. */
  pair(project: string, name: string): string {
    return this.#name(project, name).pair;
  }

  /** Forgets the names of all other projects. */
  retain(projects: ReadonlySet<string>): void {
    for (const project of this.#projects.keys()) if (!projects.has(project)) this.#projects.delete(project);
  }

  #name(project: string, name: string): Name {
    return this.#projects.get(project)?.byRaw.get(name) ?? this.#learn(project, name);
  }

  #learn(projectName: string, name: string): Name {
    let project = this.#projects.get(projectName);
    if (project === undefined) {
      project = { labels: new Set(), byRaw: new Map(), capped: false };
      this.#projects.set(projectName, project);
    }
    let label = sanitise(name);
    if (!project.labels.has(label)) {
      if (project.labels.size < MOST_NAMES) project.labels.add(label);
      else {
        label = "other";
        if (!project.capped) {
          project.capped = true;
          this.#onCapped(projectName);
        }
      }
    }
    if (project.byRaw.size >= MOST_RAW_NAMES) project.byRaw.clear();
    const learned = { label, pair: `task_name="${label}"` };
    project.byRaw.set(name, learned);
    return learned;
  }
}

interface Name {
  readonly label: string;
  readonly pair: string;
}

interface Project {
  readonly labels: Set<string>;
  readonly byRaw: Map<string, Name>;
  capped: boolean;
}

function sanitise(name: string): string {
  if (ALLOWED.test(name)) return name;
  // To Prometheus an empty label is one that is not there.
  if (name === "") return "_";
  return name
    .slice(0, 2 * LONGEST)
    .replace(REFUSED, "_")
    .slice(0, LONGEST);
}
