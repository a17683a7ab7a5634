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
    const known = this.#projects.get(project)?.byRaw.get(name);
    return known ?? this.#learn(project, name);
  }

  /** Forgets the names of all other projects. */
  retain(projects: ReadonlySet<string>): void {
    for (const project of this.#projects.keys()) if (!projects.has(project)) this.#projects.delete(project);
  }

  #learn(projectName: string, name: string): string {
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
    project.byRaw.set(name, label);
    return label;
  }
}

interface Project {
  readonly labels: Set<string>;
  readonly byRaw: Map<string, string>;
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
