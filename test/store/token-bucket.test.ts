import fc from "fast-check";
import { expect, test } from "vitest";
import { type Bucket, takeTokens } from "../../src/store/token-bucket.ts";

test("a bucket starts empty and tells when the first token is there", () => {
  expect(takeTokens(null, 5, 1, 1000)).toEqual({ bucket: { tokens: 0, at: 1000 }, granted: 0, retryIn: 200 });
  expect(takeTokens(null, 0.5, 1, 1000).retryIn).toBe(2000);
});

test("a bucket holds four fifths of a second's worth, and at least one token", () => {
  const full = { tokens: 0, at: 0 };
  expect(takeTokens(full, 5, 100, 3_600_000).granted).toBe(4);
  expect(takeTokens(full, 0.1, 100, 3_600_000).granted).toBe(1);
  expect(takeTokens({ tokens: 50, at: 0 }, 5, 100, 0).granted).toBe(4);
});

test("a clock that went back adds nothing and takes nothing", () => {
  expect(takeTokens({ tokens: 3, at: 1000 }, 5, 1, 0)).toEqual({
    bucket: { tokens: 2, at: 0 },
    granted: 1,
    retryIn: 0,
  });
});

test("nothing wanted is nothing granted and nothing to wait for", () => {
  expect(takeTokens(null, 5, 0, 0)).toMatchObject({ granted: 0, retryIn: 0 });
  expect(takeTokens({ tokens: 3, at: 0 }, 5, -2, 0)).toMatchObject({ granted: 0, bucket: { tokens: 3 } });
});

test("whoever asks whenever: never more than the share of any span plus four fifths of a second's worth, and the wait is enough", () => {
  const asks = fc.array(fc.record({ wait: fc.nat(2000), want: fc.integer({ min: 0, max: 50 }) }), {
    maxLength: 50,
  });
  fc.assert(
    fc.property(fc.double({ min: 0.05, max: 100, noNaN: true }), asks, (rate, sequence) => {
      let bucket: Bucket | null = null;
      let now = 0;
      const granted: { at: number; count: number }[] = [];
      for (const { wait, want } of sequence) {
        now += wait;
        const taken = takeTokens(bucket, rate, want, now);
        bucket = taken.bucket;
        granted.push({ at: now, count: taken.granted });
        expect(taken.granted).toBeLessThanOrEqual(want);
        if (taken.granted === 0 && want > 0) {
          // Two steps: adding up fractions may leave a token short by the last bit.
          expect(takeTokens(bucket, rate, 1, now + taken.retryIn + 1).granted).toBe(1);
        }
      }
      for (const [index, { at }] of granted.entries()) {
        let sum = 0;
        for (const later of granted.slice(index)) {
          sum += later.count;
          expect(sum).toBeLessThanOrEqual(((later.at - at) / 1000) * rate + Math.max(1, 0.8 * rate) + 1e-6);
        }
      }
    }),
  );
});
