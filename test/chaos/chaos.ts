import { expect } from "vitest";
import { systemClock } from "../../src/platform/clock.ts";
import type { House, Replica } from "../support/replicas.ts";

/** Whether it was in time is judged at the end. */
const GIVEN_UP_MS = 60_000;
/** Calls that a killed replica had sent may still arrive. */
const LAST_CALLS_MS = 500;
const LOOK_MS = 250;

/** Kills and freezes replicas, cuts them off from Redis and makes it slow, one after the other, and judges each takeover. */
export class Disturber {
  kills = 0;
  freezes = 0;
  cuts = 0;
  slows = 0;
  /** After each kill: how long until the last instance of the dead one was polled again, milliseconds. */
  readonly takeovers: number[] = [];
  readonly replicas: Replica[];
  readonly #house: House;
  readonly #random: () => number;
  readonly #leaseMs: number;

  constructor(house: House, replicas: readonly Replica[], random: () => number, leaseMs: number) {
    this.#house = house;
    this.replicas = [...replicas];
    this.#random = random;
    this.#leaseMs = leaseMs;
  }

  async disturb(ms: number): Promise<void> {
    const until = systemClock.monotonic() + ms;
    // Every kind has its turn, in an order that chance decides.
    let kinds: (() => Promise<void>)[] = [];
    while (systemClock.monotonic() < until) {
      if (kinds.length === 0) kinds = this.#shuffled();
      await kinds.pop()?.();
      await systemClock.sleep(this.#random() * 2_000);
    }
  }

  #shuffled(): (() => Promise<void>)[] {
    return [() => this.#kill(), () => this.#freeze(), () => this.#cutOff(), () => this.#slowDown()]
      .map((kind) => ({ kind, place: this.#random() }))
      .sort((a, b) => a.place - b.place)
      .map(({ kind }) => kind);
  }

  async #instancesOf(place: number): Promise<(string | undefined)[]> {
    const scrape = await this.replicas[place]?.daemon.scrape();
    return scrape?.series("dms_instance_up").map(({ labels }) => labels.instance_id) ?? [];
  }

  #victim(): number {
    return Math.floor(this.#random() * this.replicas.length);
  }

  /** Another one takes its place at once, as under an orchestrator. */
  async #kill(): Promise<void> {
    let place = this.#victim();
    // One that has just come back may have nothing yet.
    for (; (await this.#instancesOf(place)).length === 0; place = this.#victim()) {
      await systemClock.sleep(LOOK_MS);
    }
    const victim = this.replicas[place] as Replica;
    const had = await this.#instancesOf(place);
    victim.daemon.kill("SIGKILL");
    await victim.daemon.exited;
    const at = systemClock.now();
    this.kills += 1;
    const next = await this.#house.launch();
    this.replicas[place] = next;
    await Promise.all([next.daemon.ready(), this.#takenOver(new Set(had), at)]);
  }

  async #takenOver(left: Set<string | undefined>, at: number): Promise<void> {
    const { control } = this.#house.simulator;
    for (let after = 0; left.size > 0; await systemClock.sleep(LOOK_MS)) {
      for (const { seq, time, instance } of control.requests({ operation: "list_tasks", after })) {
        after = seq;
        if (time < at + LAST_CALLS_MS || !left.delete(instance)) continue;
        if (left.size === 0) this.takeovers.push(time - at);
      }
      if (systemClock.now() > at + GIVEN_UP_MS)
        expect([...left], "never polled again after a kill").toEqual([]);
    }
  }

  /** For longer than its lease; then it goes on as if nothing had been. */
  async #freeze(): Promise<void> {
    const { daemon } = this.replicas[this.#victim()] as Replica;
    this.freezes += 1;
    daemon.kill("SIGSTOP");
    await systemClock.sleep(this.#leaseMs * (1.2 + this.#random()));
    daemon.kill("SIGCONT");
  }

  /** From Redis alone: it reaches the cloud and the receiver. */
  async #cutOff(): Promise<void> {
    const { proxy } = this.replicas[this.#victim()] as Replica;
    this.cuts += 1;
    const kind = this.#random();
    if (kind < 0.4) proxy.cut();
    else if (kind < 0.7) proxy.blackHole();
    else proxy.swallowAnswers();
    await systemClock.sleep(this.#leaseMs * (0.3 + this.#random() * 1.7));
    proxy.restore();
  }

  /** Redis answers, one time sooner and one time later: what was asked in time may come when the lease is over. */
  async #slowDown(): Promise<void> {
    const { proxy } = this.replicas[this.#victim()] as Replica;
    this.slows += 1;
    const until = systemClock.monotonic() + this.#leaseMs * (1 + this.#random());
    while (systemClock.monotonic() < until) {
      proxy.latency = this.#leaseMs * this.#random() * 0.4;
      await systemClock.sleep(this.#leaseMs * 0.2);
    }
    proxy.restore();
  }
}
