// JSON documents through @upstash/redis: what Vercel KV's users store. redis-server 7.0 has none.
import test from "node:test";
import assert from "node:assert/strict";
import { Redis } from "@upstash/redis";

const redis = new Redis({ url: process.env.KV_REST_API_URL, token: process.env.KV_REST_API_TOKEN });
const only = process.env.BEHIND === "larder" ? {} : { skip: "redis-server 7.0 has no JSON.*" };
test.beforeEach(() => redis.flushall());

const doc = { name: "Ada", tags: ["a", "b"], address: { city: "London", zip: null }, visits: 3, active: true };

test("documents whole and in part", only, async () => {
  assert.equal(await redis.json.set("d", "$", doc), "OK");
  assert.deepEqual(await redis.json.get("d", "$"), [doc]);
  assert.deepEqual(await redis.json.get("d", "$.address.city"), ["London"]);
  assert.deepEqual(await redis.json.get("d", "$.name", "$.visits"), { "$.name": ["Ada"], "$.visits": [3] });
  assert.equal(await redis.json.get("none", "$"), null);
  assert.equal(await redis.json.set("d", "$.name", '"Eve"', { xx: true }), "OK");
  assert.equal(await redis.json.set("d", "$.name", '"Bob"', { nx: true }), null);
  assert.equal(await redis.json.mset({ key: "e", path: "$", value: { n: 1 } }, { key: "f", path: "$", value: { n: 2 } }), "OK");
  assert.deepEqual(await redis.json.mget(["e", "f", "none"], "$.n"), [[1], [2], null]);
  assert.equal(await redis.json.merge("d", "$", { address: { zip: "N1" }, active: null }), "OK");
  assert.deepEqual(await redis.json.get("d", "$.address"), [{ city: "London", zip: "N1" }]);
  assert.deepEqual(await redis.json.type("d", "$.visits"), ["integer"]);
  assert.equal(await redis.json.del("d", "$.address"), 1);
  assert.equal(await redis.json.forget("d", "$.none"), 0);
  assert.equal(await redis.type("d"), "ReJSON-RL");
});

test("numbers, strings, booleans, objects", only, async () => {
  await redis.json.set("d", "$", doc);
  assert.deepEqual(await redis.json.numincrby("d", "$.visits", 2), [5]);
  assert.deepEqual(await redis.json.nummultby("d", "$.visits", 3), [15]);
  assert.deepEqual(await redis.json.strappend("d", "$.name", '" L."'), [6]);
  assert.deepEqual(await redis.json.strlen("d", "$.name"), [6]);
  assert.deepEqual(await redis.json.toggle("d", "$.active"), [0]);
  assert.deepEqual(await redis.json.objkeys("d", "$.address"), [["city", "zip"]]);
  assert.deepEqual(await redis.json.objlen("d", "$"), [5]);
  assert.equal(await redis.json.clear("d", "$.address"), 1);
  assert.deepEqual(await redis.json.get("d", "$.address"), [{}]);
});

test("arrays", only, async () => {
  await redis.json.set("d", "$", doc);
  assert.deepEqual(await redis.json.arrappend("d", "$.tags", '"c"', { deep: [1] }), [4]);
  assert.deepEqual(await redis.json.arrindex("d", "$.tags", '"b"'), [1]);
  assert.deepEqual(await redis.json.arrinsert("d", "$.tags", 0, '"first"'), [5]);
  assert.deepEqual(await redis.json.arrlen("d", "$.tags"), [5]);
  assert.deepEqual(await redis.json.arrpop("d", "$.tags"), [{ deep: [1] }]);
  assert.deepEqual(await redis.json.arrtrim("d", "$.tags", 0, 1), [2]);
  assert.deepEqual(await redis.json.get("d", "$.tags"), [["first", "a"]]);
  assert.deepEqual(await redis.json.resp("d", "$.tags"), [["[", "first", "a"]]);
});

test("in pipelines, transactions and scripts", only, async () => {
  assert.deepEqual(await redis.pipeline().json.set("d", "$", { n: 1 }).json.numincrby("d", "$.n", 1).json.get("d", "$.n").exec(), ["OK", [2], [2]]);
  assert.deepEqual(await redis.multi().json.set("d", "$", { n: 1 }).json.get("d", "$").exec(), ["OK", [{ n: 1 }]]);
  assert.equal(await redis.eval("return cjson.decode(redis.call('JSON.GET', KEYS[1]))['n']", ["d"], []), 1);
  await assert.rejects(redis.json.get("d", "$[").then((v) => v), /position 2/);
  await redis.set("s", "x");
  await assert.rejects(redis.json.get("s", "$"), /wrong Redis type|WRONGTYPE/);
});
