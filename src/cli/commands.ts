import { Command, Option } from "commander";
import { UsageError } from "../errors.ts";
import { nearest } from "../util/nearest.ts";
import { VERSION } from "../version.ts";
import type { AckArgs } from "./ack.ts";
import { parseCount, parseRate, parseText, parseTime } from "./arguments.ts";
import type { CheckArgs } from "./check.ts";
import type { ConfigArgs } from "./config.ts";
import type { ReplayArgs } from "./dead-letters.ts";
import type { ExitCode, Io } from "./io.ts";
import type { PollArgs } from "./poll.ts";
import type { SimulateArgs } from "./simulate.ts";
import type { TasksArgs } from "./tasks.ts";

/** Names that nobody needs longer, so that an acknowledgement stays a line. */
const LONGEST_NAME = 100;
const LONGEST_REASON = 1000;

type Act<T> = (args: T, operands: Command["processedArgs"]) => Promise<ExitCode>;

/**
 * All commands with their options. Each one's code is loaded when it is called: the daemon needs much that a command
 * beside it does not. The parse rejects with `CommanderError`, and as the command does.
 */
export function commandLine(io: Io, end: (code: ExitCode) => void): Command {
  const cli = new Command("dms-taskwatch")
    .description(
      "Watches the background tasks of managed message-queue instances and tells people when one fails or hangs.",
    )
    .option(
      "--config <file>",
      "configuration file (default: TASKWATCH_CONFIG, config/taskwatch.yaml, /etc/dms-taskwatch/taskwatch.yaml)",
    )
    .version(VERSION)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError("(--help tells more)")
    .configureOutput({
      writeOut: (text) => io.out(text.trimEnd()),
      writeErr: (text) => io.err(text.trimEnd()),
    })
    .addHelpText(
      "after",
      "\nExit codes: 0 done; 1 failed while running; 2 usage or configuration wrong; 3 (poll, tasks) a failed or stuck task was found.",
    );
  cli.hook("preAction", (_, command) => {
    if (command !== run) io.hangup.end();
  });
  const on = <T>(command: Command, act: Act<T>): Command =>
    command.action(async () => end(await act(command.optsWithGlobals() as T, command.processedArgs)));

  const run = cli.command("run", { isDefault: true }).description("the daemon (also without a command)");
  run.allowExcessArguments();
  on<ConfigArgs>(run, async (options) => {
    const [word] = run.args;
    if (word !== undefined) throw unknownCommand(cli, word);
    return (await import("./run.ts")).run(options, io);
  });

  const check = cli
    .command("check")
    .description(
      "checks the configuration, shows it as it resolves, and the requests per second that it needs",
    )
    .option("--online", "also sign one call per project, then one per instance, and say which answer came");
  on<CheckArgs>(check, async (options) => (await import("./check.ts")).check(options, io));

  const poll = cli
    .command("poll")
    .description("reads every instance once and shows its tasks; writes no state")
    .option("--from <time>", "tasks created since, 2026-11-24T10:00:00Z or 20261124100000 (UTC)", parseTime)
    .option("--to <time>", "tasks created until (default: now)", parseTime)
    .option("--instance <id-or-name...>", "only these")
    .option("--json", "JSON instead of a table");
  on<PollArgs>(poll, async (options) => (await import("./poll.ts")).poll(options, io));

  const tasks = cli
    .command("tasks")
    .description("what the state store knows: tasks that are open, stuck, failed")
    .addOption(
      new Option("--state <state>", "which ones (default: open and failed)").choices([
        "open",
        "stuck",
        "failed",
        "all",
      ]),
    )
    .option("--json", "JSON instead of a table");
  on<TasksArgs>(tasks, async (options) => (await import("./tasks.ts")).tasks(options, io));

  const explain = cli
    .command("explain <task-id>")
    .description("a task's history, and why it is, or is not, stuck")
    .option("--json", "JSON instead of text");
  on<ConfigArgs & { readonly json?: boolean }>(explain, async (options, [taskId]) =>
    (await import("./explain.ts")).explain(taskId, options, io),
  );

  const ack = cli
    .command("ack [task-id]")
    .description("acknowledges an open failure or a stuck task: it alerts no more, and is still followed")
    .option("--reason <text>", "why", parseText(LONGEST_REASON))
    .option("--by <name>", "who (default: your user name)", parseText(LONGEST_NAME))
    .option("--all", "all open failures and stuck tasks of --instance and --task")
    .option("--instance <id-or-name>", "a glob")
    .option("--task <name>", "name of the tasks, a glob; with --all");
  on<AckArgs>(ack, async (options, [taskId]) => (await import("./ack.ts")).ack(taskId, options, io));

  const webhook = cli.command("webhook").description("tests a webhook, or enables it again");
  on<ConfigArgs>(
    webhook
      .command("test <name>")
      .description("sends a marked test event as any other, and shows the answer"),
    async (options, [name]) => (await import("./webhook.ts")).testWebhook(name, options, io),
  );
  on<ConfigArgs>(
    webhook.command("enable <name>").description("goes on with a webhook that was disabled by a 410"),
    async (options, [name]) => (await import("./webhook.ts")).liftWebhook(name, options, io),
  );

  const letters = cli.command("dead-letters").description("events that could not be delivered");
  on<ConfigArgs & { readonly json?: boolean }>(
    letters.command("list").description("shows them").option("--json", "JSON instead of a table"),
    async (options) => (await import("./dead-letters.ts")).listDeadLetters(options, io),
  );
  on<ReplayArgs>(
    letters
      .command("replay [event-id...]")
      .description("delivers them again, same id; without ids all")
      .option("--webhook <name>", "only dead letters of this webhook, which need not be configured any more")
      .option("--to <name>", "to another webhook, after a renaming say; needs ids or --webhook"),
    async (options, [ids]) => (await import("./dead-letters.ts")).replayDeadLetters(ids ?? [], options, io),
  );
  on<ConfigArgs & { readonly all?: boolean }>(
    letters.command("drop [event-id...]").description("forgets them").option("--all", "every one"),
    async (options, [ids]) => (await import("./dead-letters.ts")).dropDeadLetters(ids ?? [], options, io),
  );

  const unreadable = cli
    .command("unreadable")
    .description("records of the store that cannot be read: damaged, or of a newer version");
  on<ConfigArgs & { readonly json?: boolean }>(
    unreadable.command("list").description("shows the copies").option("--json", "JSON instead of a table"),
    async (options) => (await import("./unreadable.ts")).listUnreadable(options, io),
  );
  on<ConfigArgs & { readonly all?: boolean }>(
    unreadable.command("drop").description("removes the copies").option("--all", "every one"),
    async (options) => (await import("./unreadable.ts")).dropUnreadable(options, io),
  );

  const simulate = cli
    .command("simulate")
    .description("a stand-in for the cloud's API, for demos and tests; needs no configuration")
    .option("--listen <address>", "host:port; port 0 takes a free one", "127.0.0.1:18080")
    .option("--scenario <file>", "plays a scenario (default: the demo)")
    .option("--instances <n>", "so many made-up instances instead", parseCount(1))
    .option("--tasks <n>", "tasks of each of them (default: 8)", parseCount(0))
    .option("--rate <n>", "transitions per second over all of them (default: 0)", parseRate)
    .option("--seed <n>", "the same seed gives the same run", parseCount(0))
    .option("--no-check-signatures", "lets every caller in")
    .option("--log-size <n>", "requests kept in the log (default: 10000)", parseCount(1));
  on<SimulateArgs>(simulate, async (options) => (await import("./simulate.ts")).simulate(options, io));
  return cli;
}

function unknownCommand(cli: Command, word: string): UsageError {
  const names = cli.commands.map((command) => command.name());
  const meant = nearest(word, names);
  const hint = meant === undefined ? `allowed: ${names.join(", ")}` : `did you mean ${meant}?`;
  return new UsageError(`unknown command ${JSON.stringify(word)}; ${hint}`);
}
