import { describe, expect, it } from "vitest";
import { HOOK_SECRET, load, MINIMAL, problems } from "./support.ts";

const DURATION = "a duration, such as 500ms, 30s, 5m, 1h30m, 7d";
const CRON = 'six cron fields, seconds first, such as "0 */5 * * * *"';
const FORM_WORDS =
  "exactly one form: access_key and secret_key (with security_token for temporary keys), profile, token, " +
  "user with password and domain, or metadata; each secret also as a file";

/** What follows the minimal file, which has five lines, and the one problem that it has. */
const MISTAKES: readonly (readonly [text: string, message: string])[] = [
  ["poll: { timeout: 10 }", `6:18: poll.timeout: found "10"; allowed: ${DURATION}`],
  ["poll: { timeout: 1.5h }", `6:18: poll.timeout: found "1.5h"; allowed: ${DURATION}`],
  ["poll: { timeout: 5m1h }", `6:18: poll.timeout: found "5m1h"; allowed: ${DURATION}`],
  ["poll: { timeout: off }", `6:18: poll.timeout: found "off"; allowed: ${DURATION}`],
  ["poll: { timeout: 0s }", `6:18: poll.timeout: found "0s"; allowed: a duration from 1ms to 10m`],
  ["poll: { timeout: }", `6:18: poll.timeout: found nothing; allowed: ${DURATION}`],
  ["poll: { concurrency: 0 }", `6:22: poll.concurrency: found "0"; allowed: a whole number from 1 to 10000`],
  [
    "poll: { concurrency: 1.5 }",
    `6:22: poll.concurrency: found "1.5"; allowed: a whole number from 1 to 10000`,
  ],
  ['poll: { schedule: "* * * * *" }', `6:19: poll.schedule: found "* * * * *"; allowed: ${CRON}`],
  [
    'poll: { schedule: "*/99 * * * * *" }',
    `6:19: poll.schedule: found "*/99 * * * * *"; allowed: ${CRON}, with a step of at most 59 in the field second`,
  ],
  [
    'poll: { schedule: "0 0 25 * * *" }',
    `6:19: poll.schedule: found "0 0 25 * * *"; allowed: ${CRON}, with a field hour in 0-23`,
  ],
  ['poll: { active_schedule: "no" }', `6:26: poll.active_schedule: found "no"; allowed: off; or ${CRON}`],
  [
    "poll: { timezone: Mars/Olympus }",
    '6:19: poll.timezone: found "Mars/Olympus"; allowed: an IANA time zone, such as UTC or Europe/Dublin',
  ],
  [
    "poll: 5",
    '6:7: poll: found "5"; allowed: a map with the keys schedule, active_schedule, timezone, timeout, concurrency',
  ],
  [
    "polls: {}",
    "6:1: polls: found an unknown key; allowed: poll? (the keys here are projects, poll, window, stuck, failures, store, webhooks, maintenance, server, privacy, log)",
  ],
  ["log: { x: 1 }", "6:8: log.x: found an unknown key; allowed: level"],
  [
    "window: { utc_offset: +25:00 }",
    '6:23: window.utc_offset: found "+25:00"; allowed: an offset from -14:59 to +14:59, such as +00:00 or +08:00',
  ],
  ["window: { first_poll: both }", '6:23: window.first_poll: found "both"; allowed: baseline, emit'],
  [
    "window: { lookback: 60d }",
    '6:21: window.lookback: found "60d"; allowed: at most max_lookback, which is 30d',
  ],
  [
    "window: { max_lookback: 1h }",
    '6:25: window.max_lookback: found "1h"; allowed: at least lookback, which is 1d',
  ],
  ["stuck: { by_task: { a: soon } }", `6:24: stuck.by_task.a: found "soon"; allowed: ${DURATION}`],
  [
    "stuck: { by_task: [a] }",
    "6:19: stuck.by_task: found a list; allowed: a map from task name to duration, such as { restartInstance: 20m }",
  ],
  ["stuck: { repeat: never }", `6:18: stuck.repeat: found "never"; allowed: off; or ${DURATION}`],
  [
    "stuck: { no_progress_after: never }",
    `6:29: stuck.no_progress_after: found "never"; allowed: off; or ${DURATION}`,
  ],
  [
    "store: { url: mysql://u:hidden@h/ }",
    "6:15: store.url: found a secret that is not shown; allowed: sqlite:PATH, sqlite::memory:, or a redis://, rediss://, redis+sentinel:// or redis+cluster:// URL",
  ],
  [
    "store: { url: 'redis://:hidden@h:99999' }",
    "6:15: store.url: found a secret that is not shown; allowed: a URL whose hosts are host or host:port, with ports from 1 to 65535",
  ],
  [
    "store: { url: 'redis://h/orders' }",
    "6:15: store.url: found a secret that is not shown; allowed: a URL with a number as its database: redis://host:port/0",
  ],
  [
    "store: { url: 'redis+sentinel://h:1,g:1' }",
    "6:15: store.url: found a secret that is not shown; allowed: a URL with the master's name: redis+sentinel://host:port/name",
  ],
  [
    "store: { url: 'redis+cluster://h/3' }",
    "6:15: store.url: found a secret that is not shown; allowed: a URL without a database: a cluster has one",
  ],
  [
    "store: { url: 'redis://ann:50%@h' }",
    "6:15: store.url: found a secret that is not shown; allowed: a URL whose user and password are percent-encoded (% is %25), or store.username and store.password_file",
  ],
  ["store: { shards: 2000 }", '6:18: store.shards: found "2000"; allowed: a whole number from 1 to 1024'],
  [
    'store: { key_prefix: "a{b}" }',
    '6:22: store.key_prefix: found "a{b}"; allowed: a text of 1 to 64 characters without braces and spaces',
  ],
  [
    "server: { listen: 10464 }",
    '6:19: server.listen: found "10464"; allowed: HOST:PORT, such as 0.0.0.0:10464 or [::]:10464',
  ],
  [
    "server: { listen: ':70000' }",
    '6:19: server.listen: found ":70000"; allowed: HOST:PORT, such as 0.0.0.0:10464 or [::]:10464',
  ],
  [
    "server: { external_url: 'https://ann:hidden@h/?token=hidden' }",
    "6:25: server.external_url: found https://h/<secret>; allowed: an http or https URL without user, query and fragment, or empty",
  ],
  ["server: { reload: yes }", '6:19: server.reload: found "yes"; allowed: true or false'],
  [
    "server: { auth: {} }",
    "6:17: server.auth: found neither; allowed: exactly one of bearer_token and basic",
  ],
  [
    "server: { auth: hunter2 }",
    "6:17: server.auth: found a secret that is not shown; allowed: a map with the keys bearer_token, bearer_token_file, basic",
  ],
  [
    "server: { tls: { cert: x } }",
    "6:18: server.tls.cert: found an unknown key; allowed: cert_file, the name of a file",
  ],
  [
    'maintenance: [{ from: "01:00", to: "01:00" }]',
    '6:36: maintenance[0].to: found "01:00"; allowed: another time than from',
  ],
  [
    'maintenance: [{ from: "01:00", start: 2026-12-01T22:00:00Z }]',
    "6:15: maintenance[0]: found from beside start; allowed: from and to (with days, timezone), or start and end",
  ],
  [
    "maintenance: [{ start: 2026-12-01T22:00:00Z, end: 2026-12-01T22:00:00+02:00 }]",
    '6:51: maintenance[0].end: found "2026-12-01T22:00:00+02:00"; allowed: a time after start',
  ],
  [
    "maintenance: [{ start: 2026-02-30T22:00:00Z, end: 2026-03-03T22:00:00Z }]",
    '6:24: maintenance[0].start: found "2026-02-30T22:00:00Z"; allowed: a date and a time of day that exist',
  ],
  [
    "maintenance: [{ start: 2026-12-01T22:00:00Z, end: 2026-12-01T24:00:00Z }]",
    '6:51: maintenance[0].end: found "2026-12-01T24:00:00Z"; allowed: a date and a time of day that exist',
  ],
  [
    "maintenance: [{ start: 2026-12-01T22:00:00, end: 2026-12-02T22:00:00Z }]",
    '6:24: maintenance[0].start: found "2026-12-01T22:00:00"; allowed: a time with its zone, such as 2026-12-01T22:00:00Z',
  ],
  [
    "stuck: { learn: { floor: 2d } }",
    '6:26: stuck.learn.floor: found "2d"; allowed: at most ceiling, which is 1d',
  ],
  [
    "log: { level: loud }",
    '6:15: log.level: found "loud"; allowed: trace, debug, info, warn, error, fatal, silent',
  ],
  ["webhooks: {}", "6:11: webhooks: found an empty map; allowed: a list of webhooks"],
];

/** Keys of a webhook that is fine without them; they begin on line 9. */
const WEBHOOK_MISTAKES: readonly (readonly [text: string, message: string])[] = [
  [
    "url: ftp://h/hidden",
    "9:10: webhooks[0].url: found a secret that is not shown; allowed: an http or https URL",
  ],
  [
    "url: https://u:p@h/",
    "9:10: webhooks[0].url: found a secret that is not shown; allowed: a URL without user and password, which belong to auth",
  ],
  ["format: cloudevents", "7:5: webhooks[0].url: found nothing; allowed: url or url_file"],
  [
    "url: https://h/\n    format: slak",
    '10:13: webhooks[0].format: found "slak"; allowed: cloudevents, alertmanager, slack, teams, pagerduty, feishu, dingtalk, wecom, template',
  ],
  [
    "url: https://h/\n    format: alertmanager\n    urls: [https://h/]",
    "9:5: webhooks[0].url: found one url; allowed: urls, a list",
  ],
  [
    "urls: [https://h/]\n    format: alertmanager\n    group: {}",
    "11:12: webhooks[0].group: found a map; allowed: off with format alertmanager",
  ],
  [
    "urls: [https://h/]\n    format: alertmanager\n    events: [task.recovered]",
    "11:13: webhooks[0].events: found none of them; allowed: task.failed, task.stuck or instance.unreachable: format alertmanager sends what lasts",
  ],
  [
    "url: https://h/\n    format: slack\n    secret: hidden",
    "11:5: webhooks[0].secret: found it with format slack; allowed: this key with format cloudevents, template, feishu, dingtalk only",
  ],
  [
    "url: https://h/\n    format: feishu\n    secret: [hidden, hidden2]",
    "11:13: webhooks[0].secret: found a list; allowed: one secret: a robot of format feishu has no other",
  ],
  [
    "url: https://h/\n    format: template",
    "7:5: webhooks[0].template: found nothing; allowed: this key, which format template needs",
  ],
  [
    "url: https://h/\n    format: template\n    template: '{{data.tsk.name}}'\n    content_type: text/plain",
    "11:15: webhooks[0].template: found data.tsk.name in line 1, column 1 of it; allowed: names that an event has",
  ],
  [
    "url: https://h/\n    format: template\n    template: '{\"hidden\": {{data.duration_seconds}}}'",
    '11:15: webhooks[0].template: found that a sample event gives what is not JSON (Unexpected token \'}\', "{"hidden": }" is not valid JSON); allowed: JSON, with values between quotes or, where they can be null, in {{#x}}{{x}}{{/x}}{{^x}}null{{/x}}',
  ],
  [
    "url: https://h/\n    format: template\n    template: x\n    content_type: plain",
    '12:19: webhooks[0].content_type: found "plain"; allowed: a content type, such as application/json',
  ],
  [
    "url: https://h/\n    format: template\n    template: '{{id}}'\n    content_type: text/plain\n    group: {}",
    "11:15: webhooks[0].template: found no {{#events}}…{{/events}}, which group needs; allowed: it, or group: off",
  ],
  [
    "url: https://h/\n    group: { by: [instance] }",
    "10:12: webhooks[0].group: found a map; allowed: off with format cloudevents",
  ],
  [
    "url: https://h/\n    secret: hidden",
    "10:13: webhooks[0].secret: found a secret that is not shown; allowed: whsec_ followed by the key in base64, as Standard Webhooks has it",
  ],
  [
    "url: https://h/\n    routing_key: hidden",
    "10:5: webhooks[0].routing_key: found it with format cloudevents; allowed: this key with format pagerduty only",
  ],
  [
    "url: https://h/\n    events: [task.fail]",
    '10:14: webhooks[0].events[0]: found "task.fail"; allowed: task.started, task.succeeded, task.failed, task.cancelled, task.deleted, task.status_changed, task.stuck, task.recovered, task.vanished, instance.unreachable, instance.reachable, instance.discovered, instance.removed, project.unreachable, project.reachable, test',
  ],
  [
    "url: https://h/\n    events: []",
    "10:13: webhooks[0].events: found an empty list; allowed: a list of event types, not empty",
  ],
  [
    "url: https://h/\n    match: { instance: [] }",
    "10:24: webhooks[0].match.instance: found an empty list; allowed: a list of globs, not empty",
  ],
  [
    "url: https://h/\n    match: { instance: { a: b } }",
    "10:24: webhooks[0].match.instance: found a map; allowed: a glob, such as orders-* (a text of 1 to 256 characters); or a list of globs, not empty",
  ],
  [
    "url: https://h/\n    retry: { min: 2h }",
    '10:19: webhooks[0].retry.min: found "2h"; allowed: at most max, which is 1h',
  ],
  [
    'url: https://h/\n    headers: { X-Team: "жидкость" }',
    "10:24: webhooks[0].headers.X-Team: found a secret that is not shown; allowed: a header's value, not empty, on one line and in Latin letters",
  ],
  [
    "url: https://h/\n    headers: { Host: a }",
    '10:16: webhooks[0].headers.Host: found the name "Host"; allowed: a header\'s name, but for host, content-*, connection, transfer-encoding and webhook-*, which are set already',
  ],
  [
    "url: https://h/\n    auth: { bearer_token: a, basic: { user: u, password: p } }",
    "10:11: webhooks[0].auth: found both; allowed: exactly one of bearer_token and basic",
  ],
  [
    "url: https://h/\n    concurrency: 0",
    '10:18: webhooks[0].concurrency: found "0"; allowed: a whole number from 1 to 1000',
  ],
];

/** Keys of a project with a region and an instance; they begin on line 4. */
const PROJECT_MISTAKES: readonly (readonly [text: string, message: string])[] = [
  ["credentials: {}", `4:18: projects[0].credentials: found no form; allowed: ${FORM_WORDS}`],
  [
    "credentials: { access_key: a }",
    "4:18: projects[0].credentials.secret_key: found nothing; allowed: access_key, secret_key, all of them",
  ],
  [
    "credentials: { access_key: a, secret_key: b, token: hidden }",
    `4:18: projects[0].credentials: found access_key with secret_key beside token; allowed: ${FORM_WORDS}`,
  ],
  [
    "credentials: { access_key: a, secret_key: b, secret_key_file: c }",
    "4:50: projects[0].credentials.secret_key_file: found both; allowed: either secret_key or secret_key_file",
  ],
  [
    "credentials: hidden",
    "4:18: projects[0].credentials: found a secret that is not shown; allowed: a map with the keys access_key, access_key_file, secret_key, secret_key_file, security_token, security_token_file, profile, token, token_file, user, password, password_file, domain, metadata",
  ],
  [
    "credentials: { metadata: no }",
    '4:30: projects[0].credentials.metadata: found "no"; allowed: true; or a map with the keys endpoint',
  ],
  [
    "credentials: { access_key: a, secret_key: b }\n    requests_per_second: 0",
    '5:26: projects[0].requests_per_second: found "0"; allowed: a number over 0, at most 1000',
  ],
  [
    "proxy: 'http://ann:50%off@proxy.example:3128'",
    "4:12: projects[0].proxy: found a secret that is not shown; allowed: a URL whose user and password are percent-encoded (% is %25)",
  ],
  [
    "credentials: { access_key: a, secret_key: b }\n    endpoint: dms.example.org",
    '5:15: projects[0].endpoint: found "dms.example.org"; allowed: an http or https URL without user, query and fragment, or empty',
  ],
  [
    "credentials: { access_key: a, secret_key: b }\n    project_id: a/b",
    '5:17: projects[0].project_id: found "a/b"; allowed: a project\'s id (letters, digits, - and _, at most 64)',
  ],
];

describe("a mistake is named with its place, its path, what was found and what is allowed", () => {
  it.each(MISTAKES)("%s", async (text, message) => {
    expect(await problems(`${MINIMAL}${text}\n`)).toContain(message);
  });

  it.each(WEBHOOK_MISTAKES)("webhook with %j", async (text, message) => {
    expect(await problems(`${MINIMAL}webhooks:\n  - # ops\n    name: ops\n    ${text}\n`)).toContain(
      message.replace(/^7:5/, "8:5"),
    );
  });

  it.each(PROJECT_MISTAKES)("project with %j", async (text, message) => {
    const file = `projects:\n  - { }\n  - name: prod\n    ${text}\n    region: eu-west-101\n    instances: [{ id: i }]\n`;
    const said = await problems(file.replace("  - { }\n", "  # the only one\n"));
    expect(said).toContain(message);
  });
});

describe("all problems at once", () => {
  it("names five mistakes with line and column, in the order of the file", async () => {
    const file = `projects:
  - name: prod
    region: eu-west-101
    requets_per_second: 5
    credentials:
      access_key: AK
      secret_key: \${SK}
    instances:
      - id: a
      - id: a
poll:
  timeout: ten
webhooks:
  - name: ops
    url: https://hooks.example.org/
    secret: ${HOOK_SECRET}
    retry: { max: 1ms }
`;
    const result = await load(file);
    expect(result.ok).toBe(false);
    if (result.ok) return;
    expect(result.problems.map(({ line, column, path }) => [line, column, path])).toEqual([
      [4, 5, "projects[0].requets_per_second"],
      [7, 19, "projects[0].credentials.secret_key"],
      [10, 13, "projects[0].instances[1].id"],
      [12, 12, "poll.timeout"],
      [17, 19, "webhooks[0].retry.max"],
    ]);
  });

  it("says nothing more about a value that could not be had", async () => {
    expect(await problems(`${MINIMAL}poll: { timeout: "\${NOWHERE}" }\n`)).toEqual([
      `6:18: poll.timeout: found the variable NOWHERE, which is not set; allowed: a variable that is set, or a default: \${NOWHERE:-default}`,
    ]);
  });

  it("refuses two projects, or two webhooks, of one name", async () => {
    const project = MINIMAL.slice(MINIMAL.indexOf("\n") + 1);
    const hooks = "webhooks: [{ name: a, url: 'https://h/' }, { name: a, url: 'https://h/' }]\n";
    expect(await problems(`${MINIMAL}${project}${hooks}`)).toEqual([
      '6:11: projects[1].name: found "prod"; allowed: one that no other project has; projects[0].name in line 2 has it, too',
      '10:52: webhooks[1].name: found "a"; allowed: one that no other webhook has; webhooks[0].name in line 10 has it, too',
    ]);
  });

  it("refuses two projects with one project id, and names both places", async () => {
    const project = MINIMAL.slice(MINIMAL.indexOf("\n") + 1).replace("prod", "other");
    const twice = `${MINIMAL}${project}`.replaceAll(/(region: .*)$/gm, "$1\n    project_id: p1");
    expect(await problems(twice)).toEqual([
      expect.stringMatching(
        /^9:\d+: projects\[1\]\.project_id: found "p1"; allowed: one that no other project has; projects\[0\]\.project_id in line 4 has it, too$/,
      ),
    ]);
  });
});

describe("a file that is no configuration", () => {
  const bomb = `a: &a [x, x, x, x, x, x, x, x, x, x]\n${[..."bcdefgh"]
    .map((name, index) => `${name}: &${name} [${Array(10).fill(`*${"abcdefg"[index]}`).join(", ")}]`)
    .join("\n")}\n`;
  const cases: readonly (readonly [what: string, text: string | Uint8Array, message: string])[] = [
    ["an empty file", "", "1:1: found an empty file; allowed: a map with at least the key projects"],
    [
      "comments alone",
      "# nothing\n",
      "1:1: found an empty file; allowed: a map with at least the key projects",
    ],
    [
      "a list",
      "- a\n",
      "1:1: found a list; allowed: a map with the keys projects, poll, window, stuck, failures, store, webhooks, maintenance, server, privacy, log",
    ],
    ["tabs", "projects:\n\t- name: x\n", "2:1: found a tab in the indentation; allowed: spaces"],
    [
      "a key twice",
      "poll: {}\npoll: {}\n",
      "2:1: poll: found a key that line 1 has too; allowed: each key once",
    ],
    ["two documents", "poll: {}\n---\npoll: {}\n", "2:1: found a second document; allowed: one document"],
    [
      "a variable in braces without quotes",
      `a: { b: \${X}, c: 1 }\n`,
      `1:10: found something that is not YAML; allowed: valid YAML or JSON; inside { } and [ ] a variable needs quotes: "\${NAME}"`,
    ],
    [
      "an open quote",
      "a: 'hidden\n",
      "2:1: found an unfinished value; allowed: a closing quote, bracket or comma",
    ],
    ["a tag", "a: !secret hidden\n", "1:4: found a tag; allowed: values without tags"],
    [
      "an alias without anchor",
      "a: *hidden\n",
      "1:4: a: found an alias without its anchor; allowed: an anchor (&name) before its alias (*name)",
    ],
    [
      "bytes that are no text",
      new Uint8Array([0xff, 0xfe, 0x80]),
      " found a file that is not UTF-8 text; allowed: a YAML or JSON file that can be read",
    ],
  ];
  it.each(cases)("%s", async (_, text, message) => {
    expect(await problems({ "/etc/taskwatch.yaml": text })).toContain(message);
  });

  it.each([
    ["a bomb of aliases", bomb],
    ["an alias to what is around it", "a: &a [*a]\n"],
  ])("%s is refused soon", async (_, text) => {
    const said = await problems(text);
    expect(said.filter((line) => line.includes("found aliases that repeat too much"))).toHaveLength(1);
  });
});
