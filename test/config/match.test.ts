import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { endpointsOf } from "../../src/config/endpoints.ts";
import { compileMatch, compileProjectMatch, MATCH_ALL, type MatchSubject } from "../../src/config/match.ts";
import { formatDuration, parseDuration } from "../../src/util/duration.ts";
import { compileGlob } from "../../src/util/glob.ts";
import { nearest } from "../../src/util/nearest.ts";

describe("a glob", () => {
  it.each([
    ["orders-*", "orders-eu", true],
    ["orders-*", "orders", false],
    ["*", "", true],
    ["", "", true],
    ["", "a", false],
    ["a?c", "abc", true],
    ["a?c", "ac", false],
    ["?", "𝒳", true],
    ["*b*d", "abcbd", true],
    ["*b*d", "abcbde", false],
    ["a**b", "ab", true],
    ["a.c", "abc", false],
    ["[ab]", "a", false],
    ["A*", "abc", false],
  ])("%j on %j is %s", (pattern, text, fits) => {
    expect(compileGlob(pattern)(text)).toBe(fits);
  });

  it("means what the regular expression of the same meaning means", async () => {
    const letters = (...more: string[]) =>
      fc.string({ maxLength: 12, unit: fc.constantFrom("a", "b", ...more) });
    await fc.assert(
      fc.property(letters("*", "?"), letters("c"), (pattern, text) => {
        const meaning = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`);
        expect(compileGlob(pattern)(text)).toBe(meaning.test(text));
      }),
    );
  });

  it("that would keep a backtracking matcher busy for ever is answered", () => {
    expect(compileGlob(`${"a*".repeat(60)}b`)("a".repeat(5000))).toBe(false);
  });
});

describe("a match", () => {
  const subject: MatchSubject = {
    project: "prod",
    region: "eu-de",
    instance: { id: "6ec6", name: "orders-eu", engine: "kafka" },
    task: "modifyAutoTopic",
  };
  const fits = (match: Partial<typeof MATCH_ALL>, on: MatchSubject = subject) =>
    compileMatch({ ...MATCH_ALL, ...match })(on);

  it("without keys takes everything", () => {
    expect(fits({})).toBe(true);
  });

  it("wants every key and any glob of a list", () => {
    expect(
      fits({ project: ["prod"], engine: ["rabbitmq", "kafka"], region: ["eu-*"], task: ["modify*"] }),
    ).toBe(true);
    expect(fits({ project: ["prod"], engine: ["rabbitmq"] })).toBe(false);
  });

  it("tries an instance's name and id", () => {
    expect([
      fits({ instance: ["orders-*"] }),
      fits({ instance: ["6ec6"] }),
      fits({ instance: ["x"] }),
    ]).toEqual([true, true, false]);
  });

  it("takes what has no task or instance where any will do, and nowhere else", () => {
    const project = { ...subject, instance: null, task: null };
    expect(fits({ project: ["prod"], instance: ["*"], task: ["*"] }, project)).toBe(true);
    expect(fits({ instance: ["orders-*"] }, project)).toBe(false);
    expect(fits({ task: ["modify*"] }, { ...subject, task: null })).toBe(false);
  });

  it("fits a whole project where it could fit one of its instances", () => {
    const couldFit = (match: Partial<typeof MATCH_ALL>) =>
      compileProjectMatch({ ...MATCH_ALL, ...match })(subject);
    const instanceOnly = { instance: ["orders-*"], engine: ["kafka"], task: ["modify*"] };
    expect(couldFit(instanceOnly)).toBe(true);
    expect(couldFit({ ...instanceOnly, project: ["pr*"], region: ["eu-de"] })).toBe(true);
    expect(couldFit({ ...instanceOnly, project: ["test"] })).toBe(false);
    expect(couldFit({ ...instanceOnly, region: ["ap-*"] })).toBe(false);
  });
});

describe("endpoints", () => {
  it.each([
    [
      "ap-southeast-3",
      "https://dms.ap-southeast-3.myhuaweicloud.com",
      "https://iam.ap-southeast-3.myhuaweicloud.com",
    ],
    ["eu-west-0", "https://dms.eu-west-0.myhuaweicloud.com", "https://iam.eu-west-0.myhuaweicloud.com"],
    ["eu-west-101", "https://dms.eu-west-101.myhuaweicloud.eu", "https://iam.eu-west-101.myhuaweicloud.eu"],
    ["eu-de", "https://dms.eu-de.otc.t-systems.com", "https://iam.eu-de.otc.t-systems.com"],
    ["eu-nl", "https://dms.eu-nl.otc.t-systems.com", "https://iam.eu-nl.otc.t-systems.com"],
  ])("of %s", (region, dms, iam) => {
    expect(endpointsOf(region)).toEqual({ dms, iam });
  });
});

describe("a duration", () => {
  it("is read back as it was written", async () => {
    await fc.assert(
      fc.property(fc.nat({ max: 10 ** 12 }), (value) => {
        expect(parseDuration(formatDuration(value))).toBe(value);
      }),
    );
  });

  it.each(["", "5", "5 m", "m", "-5m", "1m1h", "1h1h", "5w", "1e3s", "99999999999999999999d"])(
    "is not %j",
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );
});

describe("the suggestion for a mistyped word", () => {
  const candidates = ["requests_per_second", "webhooks", "poll", "store", "OnCall"];

  it.each([
    ["requets_per_second", "requests_per_second"],
    ["webhook", "webhooks"],
    ["stroe", "store"],
    ["Poll", "poll"],
    ["oncal", "OnCall"],
    ["xyzzy", undefined],
  ])("for %s is %s", (word, expected) => {
    expect(nearest(word, candidates)).toBe(expected);
  });

  it("is none for a word of megabytes, at once", () => {
    expect(nearest("poll".repeat(1_000_000), candidates)).toBeUndefined();
  });
});
