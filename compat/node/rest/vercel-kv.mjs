// @vercel/kv against the REST API in the environment, which is where it looks itself.
import test from "node:test";
import assert from "node:assert/strict";
import { createClient, kv } from "@vercel/kv";

test("the client of the environment", async () => {
  await kv.flushall();
  await kv.set("user:1", { name: "Ada", visits: 1 }, { ex: 60, nx: true });
  assert.deepEqual(await kv.get("user:1"), { name: "Ada", visits: 1 });
  await kv.hset("session", { id: 1, user: "ada" });
  assert.deepEqual(await kv.hgetall("session"), { id: 1, user: "ada" });
  await kv.zadd("board", { score: 10, member: "ada" }, { score: 5, member: "bob" });
  assert.deepEqual(await kv.zrange("board", 0, -1, { rev: true, withScores: true }), ["ada", 10, "bob", 5]);
  await kv.lpush("queue", "a", "b");
  assert.equal(await kv.rpop("queue"), "a");
  await kv.sadd("tags", "x", "y");
  assert.equal(await kv.scard("tags"), 2);
});

test("its iterators", async () => {
  await kv.flushall();
  await kv.mset(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`user:${i}`, i])));
  let n = 0;
  for await (const key of kv.scanIterator({ match: "user:*", count: 50 })) n += key.startsWith("user:");
  assert.equal(n, 300);
  await kv.hset("h", Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, i])));
  const fields = [];
  for await (const item of kv.hscanIterator("h", {})) fields.push(item);
  assert.equal(fields.length, 40);
  await kv.sadd("s", ...Array.from({ length: 20 }, (_, i) => `m${i}`));
  n = 0;
  for await (const _ of kv.sscanIterator("s", {})) n++;
  assert.equal(n, 20);
  await kv.zadd("z", ...Array.from({ length: 20 }, (_, i) => ({ score: i, member: `m${i}` })));
  n = 0;
  for await (const _ of kv.zscanIterator("z", {})) n++;
  assert.equal(n, 40);
});

test("a client of one's own, pipelines and transactions", async () => {
  const own = createClient({ url: process.env.KV_REST_API_URL, token: process.env.KV_REST_API_TOKEN, automaticDeserialization: false });
  await own.set("raw", '{"a":1}');
  assert.equal(await own.get("raw"), '{"a":1}');
  assert.deepEqual(await kv.get("raw"), { a: 1 });
  assert.deepEqual(await kv.multi().incr("n").incr("n").exec(), [1, 2]);
  const reader = createClient({ url: process.env.KV_REST_API_URL, token: process.env.KV_REST_API_READ_ONLY_TOKEN });
  assert.equal(await reader.get("n"), 2);
  await assert.rejects(reader.incr("n"), /NOPERM/);
});
