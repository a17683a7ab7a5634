import { type Connections, createAgent } from "../../src/cloud/agent.ts";
import { Api } from "../../src/cloud/api.ts";
import { keyPairAuth, type RequestAuth } from "../../src/cloud/auth.ts";
import type { Dialect, DialectMemory } from "../../src/cloud/paging.ts";
import { createTaskSource } from "../../src/cloud/source.ts";
import { Transport } from "../../src/cloud/transport.ts";
import { systemClock } from "../../src/platform/clock.ts";
import type { CallGate, CallOutcome, Operation } from "../../src/ports/call-gate.ts";
import type { Clock } from "../../src/ports/clock.ts";
import type { TaskSource } from "../../src/ports/task-source.ts";

export const KEYS = { accessKey: "AKTEST", secretKey: "SKTEST-0123456789", securityToken: null };

/** A gate that lets everything in and writes down what it was told. */
export class RecordingGate implements CallGate {
  readonly outcomes: (CallOutcome & { readonly operation: Operation })[] = [];
  open = 0;

  enter(operation: Operation): Promise<(outcome: CallOutcome) => void> {
    this.open++;
    return Promise.resolve((outcome) => {
      this.open--;
      this.outcomes.push({ operation, ...outcome });
    });
  }
}

export function memory(dialect: Dialect | null = null): DialectMemory & { dialect: Dialect | null } {
  const held = {
    dialect,
    read: () => held.dialect,
    learned: (learned: Dialect) => {
      held.dialect = learned;
    },
  };
  return held;
}

export interface ClientOptions {
  readonly timeoutMs?: number;
  readonly maxBytes?: number;
  readonly clock?: Clock;
  readonly dispatcher?: Connections;
  readonly connections?: number;
  readonly projectId?: string;
  readonly auth?: (transport: Transport) => RequestAuth;
}

export interface Client extends AsyncDisposable {
  readonly gate: RecordingGate;
  readonly transport: Transport;
  readonly api: Api;
  readonly source: TaskSource;
  readonly dialect: ReturnType<typeof memory>;
  readonly dispatcher: Connections;
}

/** A whole client of one project on a test server. */
export function client(url: string, options: ClientOptions = {}): Client {
  const clock = options.clock ?? systemClock;
  const gate = new RecordingGate();
  const dispatcher =
    options.dispatcher ??
    createAgent({ connections: options.connections ?? 4, ca: null, proxy: null, env: {} });
  const transport = new Transport({
    dispatcher,
    gate,
    clock,
    timeoutMs: options.timeoutMs ?? 5000,
    ...(options.maxBytes === undefined ? {} : { maxBytes: options.maxBytes }),
  });
  const api = new Api(transport, options.auth?.(transport) ?? keyPairAuth(KEYS));
  const dialect = memory();
  const source = createTaskSource({
    api,
    endpoint: url,
    projectId: options.projectId ?? "p1",
    enterpriseProjectId: null,
    utcOffset: 0,
    dialect,
    clock,
  });
  return {
    gate,
    transport,
    api,
    source,
    dialect,
    dispatcher,
    async [Symbol.asyncDispose]() {
      await dispatcher.destroy();
    },
  };
}

export const NEVER = new AbortController().signal;

/** The last day. */
export function lastDay(now = Date.now()): { from: number; to: number } {
  return { from: now - 86_400_000, to: now };
}
