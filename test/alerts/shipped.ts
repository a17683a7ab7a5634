import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { alertsDir, configDir } from "./config-files.ts";

type Replacement = readonly [shipped: string | RegExp, mine: string];

/** The text with each replacement done. Throws when the shipped file does not say it any more. */
export function adapt(text: string, replacements: readonly Replacement[]): string {
  return replacements.reduce((now, [shipped, mine]) => {
    const next = now.replaceAll(shipped, mine);
    if (next === now) throw new Error(`not in the file: ${shipped}`);
    return next;
  }, text);
}

interface Around {
  /** Host and port of each target of the job `taskwatch`. */
  readonly taskwatch: readonly string[];
  /** Of the Prometheus itself. */
  readonly prometheus: string;
  readonly alertmanager: string;
  /** Appended: more scrape jobs, in the form of the file. */
  readonly moreJobs?: string;
  /** Alerts that wait a second in the place of some minutes. */
  readonly soon?: readonly string[];
}

/** What the shipped files wait for, in seconds and less. */
const SOON: readonly Replacement[] = [
  ["scrape_interval: 15s", "scrape_interval: 1s"],
  ["scrape_timeout: 10s", "scrape_timeout: 1s"],
  ["evaluation_interval: 15s", "evaluation_interval: 1s"],
];

/** The rules, with a wait of one second in the place of some minutes in these alerts. */
function hastened(text: string, alerts: readonly string[]): string {
  const start = "- alert: ";
  const [head = "", ...rules] = text.split(start);
  const changed = rules.map((rule) =>
    alerts.some((alert) => rule.startsWith(`${alert}\n`)) ? adapt(rule, [[/for: \d+m$/gm, "for: 1s"]]) : rule,
  );
  return [head, ...changed].join(start);
}

/**
 * The shipped prometheus.yml with its rules, in a folder: addresses are those of a test and intervals are a second;
 * `TaskwatchDown` waits a second, too. Returns the path of the configuration.
 */
export async function shippedPrometheus(folder: string, around: Around): Promise<string> {
  const rules = "taskwatch.rules.yml";
  await mkdir(join(folder, "alerts"), { recursive: true });
  const ruleText = await readFile(alertsDir + rules, "utf8");
  await writeFile(
    join(folder, "alerts", rules),
    hastened(ruleText, ["TaskwatchDown", ...(around.soon ?? [])]),
  );
  const text = adapt(await readFile(`${configDir}prometheus.yml`, "utf8"), [
    ...SOON,
    [
      /dns_sd_configs:\n {6}- names: \[taskwatch\]\n(?: {8}.+\n)+/g,
      `static_configs: [{ targets: ${JSON.stringify(around.taskwatch)} }]\n`,
    ],
    ["localhost:9090", around.prometheus],
    ["alertmanager:9093", around.alertmanager],
  ]);
  const file = join(folder, "prometheus.yml");
  await writeFile(file, `${text}${around.moreJobs ?? ""}`);
  return file;
}

/**
 * The shipped alertmanager.yml in a folder: notifications of `page` and `chat` go to `receiver` + `/page` and `/chat`
 * with the receiver's name as the token, after a tenth of a second. Returns its path.
 */
export async function shippedAlertmanager(folder: string, receiver: string): Promise<string> {
  const file = join(folder, "alertmanager.yml");
  const secrets = join(folder, "secrets");
  await mkdir(secrets, { recursive: true });
  for (const name of ["page", "chat"]) await writeFile(join(secrets, `${name}-token`), name);
  const text = adapt(await readFile(`${configDir}alertmanager.yml`, "utf8"), [
    ["group_wait: 30s", "group_wait: 100ms"],
    ["group_interval: 5m", "group_interval: 500ms"],
    ["https://page.example.org/alerts", `${receiver}/page`],
    ["https://chat.example.org/alerts", `${receiver}/chat`],
    ["/etc/alertmanager/secrets", secrets],
  ]);
  await writeFile(file, text);
  return file;
}
