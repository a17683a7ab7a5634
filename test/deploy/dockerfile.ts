import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

interface Instruction {
  readonly name: string;
  /** Without the name; lines that go on are one. */
  readonly text: string;
}

interface Stage {
  readonly name: string;
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

/** What a container of the image is given. Paths are those of the image. */
export interface Image {
  /** A folder that stands for the root of its file system. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly user: string;
  readonly command: readonly string[];
  readonly healthcheck: readonly string[];
  readonly exposed: readonly string[];
  readonly volumes: readonly string[];
}

/** The stages of the project's Dockerfile. Knows no more than it has; anything else is an error. */
export function stagesOf(text = readFileSync(join(ROOT, "Dockerfile"), "utf8")): readonly Stage[] {
  const lines = text
    .split("\n")
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join("\n")
    .replaceAll(/\\\n\s*/g, " ")
    .split("\n");
  const stages: { name: string; base: string; instructions: Instruction[] }[] = [];
  for (const line of lines) {
    const [, name = "", rest = ""] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === "") throw new Error(`not an instruction: ${line}`);
    if (name === "FROM") {
      const [, base = "", as = ""] = /^(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?$/.exec(rest) ?? [];
      stages.push({ name: as, base, instructions: [] });
    } else stages.at(-1)?.instructions.push({ name, text: rest });
  }
  return stages;
}

/** Names that the build may read: .dockerignore lets through only what it lists. */
export const allowedInBuild = (): readonly string[] => {
  const [all, ...lines] = readFileSync(join(ROOT, ".dockerignore"), "utf8").trim().split("\n");
  if (all !== "*") throw new Error(".dockerignore must keep out what it does not name");
  return lines.map((line) => line.replace(/^!/, ""));
};

/** Files and folders of the project that the build copies. */
export const copiedFromProject = (): readonly string[] =>
  stagesOf().flatMap(({ instructions }) =>
    instructions
      .filter(({ name, text }) => name === "COPY" && !text.startsWith("--from="))
      .flatMap(({ text }) => text.split(/\s+/).slice(0, -1)),
  );

/** Runs every step of the Dockerfile in a folder per stage, on this machine's Node.js, and gives the last stage. */
export function buildImage(folder: string, args: Readonly<Record<string, string>>): Image {
  const built = new Map<string, Image>();
  let last: Image | null = null;
  for (const [index, stage] of stagesOf().entries()) {
    last = buildStage(stage, join(folder, stage.name || `stage-${index}`), args, built);
    built.set(stage.name, last);
  }
  if (last === null) throw new Error("the Dockerfile has no stage");
  return last;
}

function buildStage(
  { instructions, base }: Stage,
  root: string,
  args: Readonly<Record<string, string>>,
  built: ReadonlyMap<string, Image>,
): Image {
  if (!/^node:\d+-\S+-slim$/.test(base)) throw new Error(`an image that the test does not know: ${base}`);
  // Where the base image keeps what is on the path.
  mkdirSync(join(root, "usr/local/bin"), { recursive: true });
  const image = {
    root,
    env: {} as Record<string, string>,
    workdir: "/",
    user: "",
    entrypoint: [] as string[],
    cmd: [] as string[],
    healthcheck: [] as string[],
    exposed: [] as string[],
    volumes: [] as string[],
  };
  const variables: Record<string, string> = {};
  const expand = (text: string) =>
    text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => variables[name] ?? image.env[name] ?? "");
  const steps: Readonly<Record<string, (text: string) => void>> = {
    ARG: (text) => {
      const [name = "", value = ""] = text.split("=");
      variables[name] = args[name] ?? value;
    },
    LABEL: () => {},
    ENV: (text) => {
      for (const [, name = "", value = ""] of text.matchAll(/(\w+)=("[^"]*"|\S+)/g))
        image.env[name] = expand(value.replaceAll('"', ""));
    },
    WORKDIR: (text) => {
      image.workdir = text;
      mkdirSync(join(root, text), { recursive: true });
    },
    COPY: (text) => {
      const words = text.split(/\s+/);
      const from = /^--from=(\S+)$/.exec(words[0] ?? "")?.[1];
      const sources = words.slice(from === undefined ? 0 : 1, -1);
      const source = from === undefined ? ROOT : built.get(from)?.root;
      if (source === undefined) throw new Error(`COPY from a stage that is not there: ${text}`);
      const to = join(root, image.workdir, words.at(-1) ?? "");
      for (const each of sources) {
        const into = words.at(-1)?.endsWith("/") ? join(to, basename(each)) : to;
        mkdirSync(dirname(into), { recursive: true });
        cpSync(join(source, each), into, { recursive: true, verbatimSymlinks: true });
      }
    },
    RUN: (text) => run(image, text),
    USER: (text) => {
      image.user = text;
    },
    VOLUME: (text) => void image.volumes.push(text),
    EXPOSE: (text) => void image.exposed.push(text),
    HEALTHCHECK: (text) => {
      image.healthcheck = words(/CMD (\[.*\])$/.exec(text)?.[1]);
    },
    ENTRYPOINT: (text) => {
      image.entrypoint = words(text);
    },
    CMD: (text) => {
      image.cmd = words(text);
    },
  };
  for (const { name, text } of instructions) {
    const step = steps[name];
    if (!step) throw new Error(`an instruction that the test does not know: ${name} ${text}`);
    step(text);
  }
  const { entrypoint, cmd, ...rest } = image;
  return { ...rest, command: [...entrypoint, ...cmd] };
}

/** The exec form: there is no shell to be had in the image. */
function words(text = "[]"): string[] {
  const list: unknown = JSON.parse(text);
  if (!Array.isArray(list)) throw new Error(`not in exec form: ${text}`);
  return list.map(String);
}

function run(image: Pick<Image, "root" | "env" | "workdir">, text: string): void {
  const isExec = text.startsWith("[");
  const [command = "", ...rest] = isExec ? words(text) : ["sh", "-c", text];
  const { status, stderr, stdout } = spawnSync(command, rest.map(inside(image.root)), {
    cwd: join(image.root, image.workdir),
    env: buildEnv(image.env),
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`RUN ${text} ended with ${status}: ${stderr}${stdout}`);
}

/** The image's folders where the build puts them on this machine; only root may give them to the image's user. */
export const inside = (root: string) => (text: string) => {
  const placed = text.replaceAll(/(?<=^|['":])\/(app|data|usr\/local)\b/g, (path) => join(root, path));
  return isRoot ? placed : placed.replaceAll("1000, 1000", "process.getuid(), process.getgid()");
};

export const isRoot = process.getuid?.() === 0;

/** npm's own settings of this machine, and the tools beside its Node.js. */
export const buildEnv = (env: Readonly<Record<string, string>>): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(HOME|npm_config_)/i.test(name))),
  PATH: `${dirname(process.execPath)}:${process.env.PATH?.split(":")
    .filter((folder) => !folder.includes("node_modules") && existsSync(folder))
    .join(":")}`,
  npm_config_prefer_offline: "true",
  ...env,
});
