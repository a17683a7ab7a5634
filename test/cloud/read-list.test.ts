import { expect, test } from "vitest";
import { ListMemory } from "../../src/cloud/list-memory.ts";
import type { Dialect, FetchPage, PageQuery } from "../../src/cloud/paging.ts";
import { type ListResult, readList } from "../../src/cloud/read-list.ts";
import { CloudError } from "../../src/errors.ts";
import { SAMPLES } from "../cli/samples.ts";
import { type ModelRules, ModelServer, type ModelTask, NOW } from "./model-server.ts";

/** Tasks t0, t1, … of which t0 is the newest, a minute apart. */
function tasks(count: number, every = 60_000): ModelTask[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `t${index}`,
    createdAt: NOW - 60_000 - index * every,
  }));
}

class Reader {
  dialect: Dialect | null = null;
  readonly memory = new ListMemory();
  readonly queries: PageQuery[] = [];
  maxCalls = 200;

  read(fetch: FetchPage<ModelTask>, from: number | null = NOW - 86_400_000): Promise<ListResult<ModelTask>> {
    this.queries.length = 0;
    return readList({
      list: "i",
      fetch: (query) => {
        this.queries.push(query);
        return fetch(query);
      },
      from,
      to: null,
      merge: (_, later) => later,
      limits: [100, 50, 10],
      names: ["offset", "start"],
      dialect: {
        read: () => this.dialect,
        learned: (learned) => {
          this.dialect = learned;
        },
      },
      memory: this.memory,
      maxCalls: this.maxCalls,
    });
  }
}

function ids(result: ListResult<ModelTask>): string[] {
  return result.items.map(({ id }) => id).toSorted((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
}

const DIALECTS: readonly {
  readonly rules: Partial<ModelRules>;
  readonly first: number;
  readonly later: number;
}[] = [
  { rules: { paging: "offset0" }, first: 3, later: 3 },
  { rules: { paging: "offset1" }, first: 3, later: 3 },
  { rules: { paging: "start0" }, first: 4, later: 3 },
  { rules: { paging: "start1" }, first: 4, later: 3 },
  { rules: { paging: "start1", strict: true }, first: 4, later: 3 },
];

test.each(DIALECTS)(
  "250 tasks are read whole from $rules, in few calls once the name is known",
  async ({ rules, first, later }) => {
    const server = new ModelServer(rules, tasks(250));
    const reader = new Reader();
    const once = await reader.read(server.fetch);
    expect(once.gap).toBeNull();
    expect(ids(once)).toEqual(tasks(250).map(({ id }) => id));
    expect(reader.queries.length).toBe(first);
    expect(reader.dialect?.position).toBe(rules.paging?.slice(0, -1));
    await reader.read(server.fetch);
    expect(reader.queries.length).toBe(later);
  },
);

test.each([{ id: "t13" }, { id: null }])(
  "a row behind the first page that cannot be read is a row: the page is not the whole list ($id)",
  async ({ id }) => {
    const server = new ModelServer({ paging: "start1", cap: 13 }, tasks(14));
    let unreadable = true;
    const fetch: FetchPage<ModelTask> = async (query) => {
      const page = await server.fetch(query);
      const rows = page.rows.map((row) =>
        unreadable && row.kind === "item" && row.item.id === "t13"
          ? { kind: "malformed" as const, id, problem: "status is missing" }
          : row,
      );
      return { ...page, rows };
    };
    const reader = new Reader();
    for (let poll = 0; poll < 3; poll++) {
      expect((await reader.read(fetch)).malformed).toEqual([{ id, problem: "status is missing" }]);
    }
    unreadable = false;
    expect((await reader.read(fetch)).items.length).toBe(14);
  },
);

test("start and offset are never sent together, and the first page asks for no position", async () => {
  const server = new ModelServer({ paging: "start1" }, tasks(250));
  const reader = new Reader();
  await reader.read(server.fetch);
  expect(reader.queries[0]?.position).toBeNull();
  expect(reader.queries.map(({ position }) => position?.name ?? "none")).toEqual([
    "none",
    "offset",
    "start",
    "start",
  ]);
});

test("a server that moves by no name is read by spans of time, and that is remembered", async () => {
  const server = new ModelServer({ paging: "none" }, tasks(250));
  const reader = new Reader();
  const once = await reader.read(server.fetch);
  expect(once.gap).toBeNull();
  expect(ids(once)).toEqual(tasks(250).map(({ id }) => id));
  expect(reader.dialect?.position).toBe("none");
  const learning = reader.queries.length;
  const again = await reader.read(server.fetch);
  expect(again.gap).toBeNull();
  expect(reader.queries.length).toBe(learning - 2);
  expect(reader.queries.every(({ position }) => position === null)).toBe(true);
});

test.each(["inclusive", "exclusive", "exact"] as const)(
  "spans lose nothing at their borders when the end is %s",
  async (end) => {
    const crowd = Array.from({ length: 300 }, (_, index) => ({
      id: `t${index}`,
      createdAt: NOW - 120_000 - Math.floor(index / 30) * 1000 - (index % 7) * 100,
    }));
    const server = new ModelServer({ paging: "none", end }, crowd);
    const result = await new Reader().read(server.fetch);
    expect(result.gap).toBeNull();
    expect(result.items.length).toBe(300);
  },
);

test("two neighbouring seconds with most of a page each are read whole where the end counts in", async () => {
  const crowd = Array.from({ length: 160 }, (_, index) => ({
    id: `t${index}`,
    createdAt: NOW - 120_000 + (index % 2) * 1000 + (index % 9),
  }));
  const server = new ModelServer({ paging: "none" }, crowd);
  const result = await new Reader().read(server.fetch);
  expect(result.gap).toBeNull();
  expect(result.items.length).toBe(160);
});

test.each(["inclusive", "exclusive", "exact"] as const)(
  "more than a page of tasks within one second makes the list incomplete, with the reason, when the end is %s",
  async (end) => {
    const crowd = Array.from({ length: 130 }, (_, index) => ({
      id: `t${index}`,
      createdAt: NOW - 120_000 + index,
    }));
    const server = new ModelServer({ paging: "none", end }, crowd);
    const result = await new Reader().read(server.fetch);
    expect(result.gap?.problem).toMatch(
      /more rows than a page holds were created in the second after 2026-11-24T09:5/,
    );
    expect(result.gap?.cause).toBe("bad_response");
    expect(result.items.length).toBeLessThan(130);
  },
);

test.each(["inclusive", "exclusive", "exact"] as const)(
  "what lies before and after a second with more than a page is read all the same, when the end is %s",
  async (end) => {
    const hour = 3_600_000;
    const at = NOW - 12 * hour;
    const around = Array.from({ length: 240 }, (_, index) => ({
      id: `t${index}`,
      createdAt: at + (index < 120 ? 1 : -1) * (60_000 + (index % 120) * 200_000),
    }));
    const crowd = Array.from({ length: 130 }, (_, index) => ({ id: `c${index}`, createdAt: at + index }));
    const server = new ModelServer({ paging: "none", end }, [...around, ...crowd]);
    const result = await new Reader().read(server.fetch);
    expect(result.gap?.problem).toMatch(/more rows than a page holds/);
    expect(ids(result).filter((id) => id.startsWith("t"))).toHaveLength(240);
  },
);

test("a server that neither pages nor filters by time is noticed in few calls", async () => {
  const server = new ModelServer({ paging: "none" }, tasks(250));
  const deaf: FetchPage<ModelTask> = (query) => server.fetch({ ...query, from: null, to: null });
  const reader = new Reader();
  const result = await reader.read(deaf);
  expect(result.gap?.problem).toMatch(/neither paging nor times/);
  expect(reader.queries.length).toBeLessThanOrEqual(8);
});

test.each<{ rows: number; total: number | null; from: number | null }>([
  { rows: 2, total: 2, from: NOW - 86_400_000 },
  { rows: 2, total: null, from: NOW - 86_400_000 },
  { rows: 40, total: 40, from: NOW - 86_400_000 },
  { rows: 100, total: 100, from: NOW - 86_400_000 },
  { rows: 150, total: null, from: NOW - 86_400_000 },
  { rows: 2, total: 2, from: null },
  { rows: 12, total: 12, from: null },
  { rows: 50, total: null, from: null },
  // The cloud's own sample: its count says more than it shows.
  { rows: 2, total: 4, from: NOW - 86_400_000 },
  { rows: 1, total: 4, from: NOW - 86_400_000 },
  { rows: 1, total: 4, from: null },
])(
  "a server that takes no parameters is believed to show everything: $rows rows, a count of $total",
  async ({ rows, total, from }) => {
    const shown = tasks(rows).toReversed();
    const deaf: FetchPage<ModelTask> = () =>
      Promise.resolve({ rows: shown.map((item) => ({ kind: "item", item })), total, cloudNow: NOW });
    const reader = new Reader();
    const result = await reader.read(deaf, from);
    expect(result.gap).toBeNull();
    expect(result.items.length).toBe(rows);
    await reader.read(deaf, from);
    expect(reader.queries.length).toBeLessThanOrEqual(rows < 100 ? 1 : 8);
  },
);

test.each([
  { rows: 100, total: null },
  { rows: 40, total: 120 },
])("but not where $rows rows with a count of $total look cut off", async ({ rows, total }) => {
  const deaf: FetchPage<ModelTask> = () =>
    Promise.resolve({ rows: tasks(rows).map((item) => ({ kind: "item", item })), total, cloudNow: NOW });
  expect((await new Reader().read(deaf)).gap).not.toBeNull();
});

test("a dialect that was learned as deaf is doubted when it leads nowhere", async () => {
  const crowd = Array.from({ length: 130 }, (_, index) => ({
    id: `t${index}`,
    createdAt: NOW - 120_000 + index,
  }));
  const server = new ModelServer({ paging: "offset0" }, crowd);
  const reader = new Reader();
  reader.dialect = { position: "none", limit: 100 };
  const result = await reader.read(server.fetch);
  expect(result.gap).toBeNull();
  expect(result.items.length).toBe(130);
  expect(reader.dialect?.position).toBe("offset");
});

test("an API that changes its parameter's name is followed", async () => {
  const reader = new Reader();
  reader.dialect = { position: "start", limit: 100 };
  const result = await reader.read(new ModelServer({ paging: "offset0" }, tasks(250)).fetch);
  expect(result.gap).toBeNull();
  expect(reader.dialect?.position).toBe("offset");
});

test("a page size that is refused is made smaller once, and remembered", async () => {
  const server = new ModelServer({ refuseAbove: 50, cap: 50 }, tasks(120));
  const reader = new Reader();
  const result = await reader.read(server.fetch);
  expect(result.gap).toBeNull();
  expect(result.items.length).toBe(120);
  expect(reader.dialect).toEqual({ position: "offset", limit: 50 });
  await reader.read(server.fetch);
  expect(reader.queries[0]?.limit).toBe(50);
});

test.each(["right", "absent", "page", "zero", "everything"] as const)(
  "a server that gives ten rows when asked for a hundred is not believed to be at its end, count %s",
  async (total) => {
    const server = new ModelServer({ cap: 10, total }, tasks(25));
    const result = await new Reader().read(server.fetch);
    expect(result.gap).toBeNull();
    expect(result.items.length).toBe(25);
  },
);

test("a list that has not changed costs one call, also where the count is wrong", async () => {
  for (const total of ["right", "absent", "page", "zero"] as const) {
    const server = new ModelServer({ total }, tasks(4));
    const reader = new Reader();
    await reader.read(server.fetch);
    expect(reader.queries.length, total).toBe(2);
    for (let poll = 0; poll < 3; poll++) {
      await reader.read(server.fetch);
      expect(reader.queries.length, total).toBe(1);
    }
  }
  const server = new ModelServer({ total: "everything" }, [
    ...tasks(2),
    ...tasks(5).map(({ id }) => ({ id: `old-${id}`, createdAt: NOW - 90_000_000 })),
  ]);
  const reader = new Reader();
  await reader.read(server.fetch);
  await reader.read(server.fetch);
  expect(reader.queries.length).toBe(1);
});

test("an unchanged page is asked about again where a new task might stand behind it", async () => {
  const server = new ModelServer({ cap: 4, order: "oldest", total: "absent" }, tasks(4));
  const reader = new Reader();
  await reader.read(server.fetch);
  server.tasks.push({ id: "t99", createdAt: NOW });
  const result = await reader.read(server.fetch);
  expect(result.items.map(({ id }) => id)).toContain("t99");
});

test.each(["start1", "start0", "offset0", "offset1", "none"] as const)(
  "a list whose count says more than the one row of its page is read on, on a server with %s",
  async (paging) => {
    for (const order of ["newest", "oldest"] as const) {
      const server = new ModelServer({ paging, cap: 1, order }, tasks(5));
      const result = await new Reader().read(server.fetch);
      expect(result.gap).toBeNull();
      expect(ids(result)).toEqual(tasks(5).map(({ id }) => id));
      expect(result.countedMore).toBe(false);
    }
  },
);

test("a second page that follows a first one of a single row is read, however the server filters", async () => {
  const all = tasks(60);
  const fetch: FetchPage<ModelTask> = ({ position }) => {
    const skip = position?.name === "offset" ? position.value : 0;
    const rows = skip === 0 ? all.slice(0, 1) : all.slice(skip);
    return Promise.resolve({
      rows: rows.map((item) => ({ kind: "item", item })),
      total: 60,
      cloudNow: NOW,
    });
  };
  const result = await new Reader().read(fetch);
  expect(result.gap).toBeNull();
  expect(ids(result)).toEqual(all.map(({ id }) => id));
});

test("one row of a page whose list shifts meanwhile is not taken for the whole list", async () => {
  for (const paging of ["offset0", "start1"] as const) {
    const server = new ModelServer({ paging, cap: 1 }, tasks(3));
    server.afterPage = (call) => {
      if (call === 1) server.tasks = server.tasks.filter(({ id }) => id !== "t0");
    };
    const result = await new Reader().read(server.fetch);
    expect(result.gap).toBeNull();
    expect(ids(result)).toEqual(["t0", "t1", "t2"]);
  }
});

test.each(["start1", "start0", "offset0", "offset1", "none"] as const)(
  "a count of more than the window holds costs a few calls once, not at every poll, on a server with %s",
  async (paging) => {
    const old = tasks(5).map(({ id }) => ({ id: `old-${id}`, createdAt: NOW - 90_000_000 }));
    for (const shown of [1, 2]) {
      const server = new ModelServer({ paging, total: "everything" }, [...tasks(shown), ...old]);
      const reader = new Reader();
      const first = await reader.read(server.fetch);
      expect(first).toMatchObject({ gap: null, countedMore: true });
      expect(ids(first)).toEqual(tasks(shown).map(({ id }) => id));
      expect(reader.queries.length).toBeLessThanOrEqual(paging === "none" ? 30 : 8);
      for (let poll = 0; poll < 3; poll++) {
        expect(await reader.read(server.fetch)).toMatchObject({ gap: null, countedMore: true });
        expect(reader.queries.length).toBe(1);
      }
    }
  },
);

test("the sample of the API's page, a count of four over two rows, costs one call more, once", async () => {
  const { task_count, tasks: sample } = SAMPLES[0]!.body;
  const rows = sample.map(({ id, created_at }) => ({ id, createdAt: Date.parse(created_at) }));
  for (const name of ["offset", "start"] as const) {
    const base = name === "start" ? 1 : 0;
    const fetch: FetchPage<ModelTask> = ({ position }) => {
      const skip = position?.name === name ? Math.max(0, position.value - base) : 0;
      return Promise.resolve({
        rows: rows.slice(skip).map((item) => ({ kind: "item", item })),
        total: Number(task_count),
        cloudNow: NOW,
      });
    };
    const reader = new Reader();
    reader.dialect = { position: name, limit: 100 };
    expect(await reader.read(fetch)).toMatchObject({ gap: null, countedMore: true });
    expect(reader.queries.length).toBeLessThanOrEqual(base + 2);
    await reader.read(fetch);
    expect(reader.queries.length).toBe(1);
  }
});

test("no task and one task cost one call", async () => {
  for (const count of [0, 1]) {
    const reader = new Reader();
    const result = await reader.read(new ModelServer({}, tasks(count)).fetch);
    expect(result.gap).toBeNull();
    expect(reader.queries.length).toBe(1);
  }
});

test("a page that shifts while it is read is noticed: nothing that was there is left out", async () => {
  for (const removed of [1, 3, 40, 99]) {
    const server = new ModelServer({}, tasks(250));
    server.afterPage = (call) => {
      if (call === 1) server.tasks = server.tasks.filter(({ id }) => Number(id.slice(1)) >= removed);
    };
    const result = await new Reader().read(server.fetch);
    expect(result.gap, `${removed} removed`).toBeNull();
    expect(result.items.length, `${removed} removed`).toBe(250);
  }
});

test("a first page that is deleted whole is read again from the head", async () => {
  const server = new ModelServer({}, tasks(250));
  server.afterPage = (call) => {
    if (call === 1) server.tasks = server.tasks.filter(({ id }) => Number(id.slice(1)) >= 120);
  };
  const result = await new Reader().read(server.fetch);
  expect(result.gap).toBeNull();
  expect(ids(result).slice(100)).toEqual(
    tasks(250)
      .map(({ id }) => id)
      .slice(120),
  );
});

test("tasks that are added faster than pages are read never make it loop", async () => {
  const server = new ModelServer({ cap: 10 }, tasks(40));
  let serial = 1000;
  server.afterPage = () => {
    for (let added = 0; added < 10; added++)
      server.tasks.push({ id: `t${serial++}`, createdAt: NOW + serial * 1000 });
  };
  const reader = new Reader();
  reader.maxCalls = 50;
  const result = await reader.read(server.fetch);
  expect(reader.queries.length).toBeLessThanOrEqual(50);
  if (result.gap === null) expect(ids(result)).toEqual(expect.arrayContaining(tasks(40).map(({ id }) => id)));
});

test("an error on a later page leaves a part with its cause; one on the first page is thrown", async () => {
  const server = new ModelServer({}, tasks(250));
  const failAt = (call: number): FetchPage<ModelTask> => {
    let calls = 0;
    return (query) =>
      ++calls === call
        ? Promise.reject(
            new CloudError("throttled", "answered 429", { code: "APIGW.0308", requestId: "5df1" }),
          )
        : server.fetch(query);
  };
  const part = await new Reader().read(failAt(2));
  expect(part.items.length).toBe(100);
  const answer = { errorCode: "APIGW.0308", requestId: "5df1" };
  expect(part.gap).toEqual({ cause: "throttled", problem: "answered 429", answer });
  await expect(new Reader().read(failAt(1))).rejects.toMatchObject({ reason: "throttled" });
});

test("an abort is passed on, on whichever page", async () => {
  const server = new ModelServer({}, tasks(250));
  const reason = new Error("stopped");
  let calls = 0;
  const fetch: FetchPage<ModelTask> = (query) =>
    ++calls === 2 ? Promise.reject(reason) : server.fetch(query);
  await expect(new Reader().read(fetch)).rejects.toBe(reason);
});

test("the cap on calls ends a list that never does", async () => {
  let serial = 0;
  const endless: FetchPage<ModelTask> = ({ limit }) =>
    Promise.resolve({
      rows: Array.from({ length: limit }, () => ({
        kind: "item" as const,
        item: { id: `t${serial++}`, createdAt: NOW - serial },
      })),
      total: null,
      cloudNow: NOW,
    });
  const reader = new Reader();
  reader.maxCalls = 30;
  const result = await reader.read(endless);
  expect(reader.queries.length).toBeLessThanOrEqual(30);
  expect(result.gap).not.toBeNull();
});

test("malformed rows are kept, count as rows, and do not break the joint", async () => {
  const server = new ModelServer({}, tasks(150));
  const spoiled: FetchPage<ModelTask> = async (query) => {
    const page = await server.fetch(query);
    return {
      ...page,
      rows: page.rows.map((row) =>
        row.kind === "item" && ["t3", "t99", "t120"].includes(row.item.id)
          ? { kind: "malformed", id: row.item.id === "t3" ? null : row.item.id, problem: "status is missing" }
          : row,
      ),
    };
  };
  const result = await new Reader().read(spoiled);
  expect(result.gap).toBeNull();
  expect(result.items.length).toBe(147);
  expect(result.malformed.map(({ id }) => id).toSorted()).toEqual([null, "t120", "t99"].toSorted());
});
