import { createHmac } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Hmac } from "../../src/cloud/hmac.ts";

test("is HMAC-SHA256 as Node.js computes it, for keys and texts of any length, one after the other", () => {
  const texts = fc.array(fc.string({ unit: "binary-ascii", maxLength: 200 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), texts, (key, given) => {
      const hmac = new Hmac(key);
      for (const text of given) {
        expect(hmac.hex(text)).toBe(createHmac("sha256", key).update(text).digest("hex"));
      }
    }),
    { examples: [["", [""]]] },
  );
});
