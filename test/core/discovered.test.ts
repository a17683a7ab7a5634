import { expect, test } from "vitest";
import { rediscover } from "../../src/core/discovered.ts";

const listed = (id: string) => ({ id, name: id, engine: "kafka" as const, createdAt: null });

test("an instance that is missing stays while it is watched, and goes when nobody polls it", () => {
  const isWatched = ({ name }: { readonly name: string }) => !name.startsWith("test-");
  const { next } = rediscover(null, [listed("orders"), listed("test-1")], ["kafka"], 1, isWatched);
  const after = rediscover(next, [], ["kafka"], 2, isWatched);
  expect(after.next.instances.map(({ id, missing }) => [id, missing])).toEqual([["orders", true]]);
  expect(after.missed.map(({ id }) => id)).toEqual(["orders"]);
  // A list of other engines says nothing about it.
  expect(rediscover(next, [], ["rabbitmq"], 2, isWatched).next.instances).toHaveLength(2);
});
