import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeRecord, decodeTask, encodeRecord, encodeTask } from "../../src/store/codec.ts";
import { RecordReader } from "../../src/store/unreadable.ts";
import { fullRecord, fullTask, record, task } from "./contract/back-end.ts";

/** Half a surrogate pair among them. */
const anyText = fc.uint16Array().map((codes) => String.fromCharCode(...codes));
const NO_TIMES = { lastCompleteAt: null, lastSweepAt: null };

test("state comes back as it was, the fullest and the emptiest", () => {
  for (const state of [fullTask("t"), task("t")]) {
    expect(decodeTask("t", encodeTask(state))).toEqual(state);
  }
  for (const state of [fullRecord(), record()]) {
    expect(decodeRecord(encodeRecord(state), state)).toEqual(state);
  }
});

test("a task that version 1 wrote, without the id of its user, is read", () => {
  const before = { ...fullTask("t"), userId: null };
  const { id: _outside, userId: _later, ...kept } = before;
  expect(decodeTask("t", JSON.stringify({ v: 1, ...kept }))).toEqual(before);
});

test("an opening that version 1 held back is read as announced before where somebody was informed", () => {
  for (const [informed, announced] of [
    [["ops"], "stuck"],
    [[], null],
  ] as const) {
    const muted = { eventId: "e", sequence: 2, until: 3 };
    const kept = JSON.parse(encodeTask(task("t", { informed })));
    expect(decodeTask("t", JSON.stringify({ ...kept, muted })).muted).toEqual({ ...muted, announced });
  }
});

test("a record of an unreachable instance that version 1 wrote, without the cloud's answer, is read", () => {
  const full = fullRecord();
  const before = { ...full, unreachable: { ...full.unreachable!, answer: null } };
  const { answer: _later, ...unreachable } = before.unreachable;
  expect(decodeRecord(JSON.stringify({ v: 1, ...before, unreachable }), before)).toEqual(before);
});

test("a task that is over takes little room", () => {
  const over = task("t", { createdAt: 1, updatedAt: 2, counts: { "succeeded:SUCCESS": 1 } });
  expect(encodeTask(over).length).toBeLessThan(160);
});

test("texts of any kind survive", () => {
  fc.assert(
    fc.property(anyText, anyText, (id, text) => {
      const state = task(id, {
        name: text,
        status: text,
        params: text,
        informed: [text],
        counts: { [text]: 1 },
      });
      expect(decodeTask(id, encodeTask(state))).toEqual(state);
    }),
  );
});

test("whatever is in the store, reading it gives a state or says what is wrong, and changes no prototype", () => {
  const tryRead = (text: string) => {
    for (const read of [() => decodeTask("t", text), () => decodeRecord(text, NO_TIMES)]) {
      const reader = new RecordReader();
      if (reader.read<unknown>(0, "task", "t", read) === undefined)
        expect(reader.unreadable[0]?.why).toMatch(/^it is damaged: |^it has format /);
    }
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  };
  fc.assert(fc.property(fc.string(), tryRead));
  fc.assert(fc.property(fc.json(), tryRead));
  const mangled = fc.tuple(
    fc.constantFrom(encodeTask(fullTask("t")), encodeRecord(fullRecord())),
    fc.constantFrom("null", "1", '"x"', "{}", "[]", "true", '{"__proto__":{"polluted":1}}'),
    fc.nat(),
  );
  fc.assert(
    fc.property(mangled, ([text, value, pick]) => {
      const fields = JSON.parse(text) as Record<string, unknown>;
      const keys = Object.keys(fields);
      const key = keys[pick % keys.length] ?? "v";
      tryRead(
        JSON.stringify(fields).replace(`${JSON.stringify(key)}:`, `${JSON.stringify(key)}:${value},"x":`),
      );
    }),
  );
});

test("what cannot be read says why, without the text itself", () => {
  const why = (text: string) => {
    const reader = new RecordReader();
    reader.read(0, "task", "t", () => decodeTask("t", text));
    return reader.unreadable.map((each) => each.why);
  };
  expect(why('{"v":1,"name":"n","status":"FAILED","seenAt":"secret"}')).toEqual([
    "it is damaged: seenAt is not a number",
  ]);
  expect(why('{"v":1,"params":"secret')).toEqual(["it is damaged: it is not JSON"]);
  expect(why('{"v":2,"name":1}')).toEqual(["it has format 2, and this version knows up to 1"]);
});
