import { expect, test } from "vitest";
import { windowTexts } from "../../src/cloud/window-text.ts";

test("times are written to the second, in the zone that the API reads", () => {
  const at = Date.parse("2026-12-31T20:30:59.999Z");
  expect(windowTexts(0)(at)).toBe("20261231203059");
  expect(windowTexts(8 * 3_600_000)(at)).toBe("20270101043059");
  expect(windowTexts(-3.5 * 3_600_000)(at)).toBe("20261231170059");
});

test("times of one second are the same text, another second is another text", () => {
  const text = windowTexts(0);
  expect([0, 999, 1000, 500].map(text)).toEqual([
    "19700101000000",
    "19700101000000",
    "19700101000001",
    "19700101000000",
  ]);
});
