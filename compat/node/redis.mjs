// node-redis against the server at REDIS_PORT, in RESP2 and RESP3.
import test from "node:test";
import assert from "node:assert/strict";
import { createClient } from "redis";

for (const RESP of [2, 3]) {
  const connect = () => createClient({ url: `redis://127.0.0.1:${process.env.REDIS_PORT}`, RESP }).on("error", () => {}).connect();

  test(`RESP${RESP}`, async (t) => {
    const client = await connect();
    const other = await connect();
    t.beforeEach(() => client.flushAll());
    t.after(() => Promise.all([client.close(), other.close()]));

    await t.test("values", async () => {
      assert.equal(await client.set("s", "v", { expiration: { type: "EX", value: 100 } }), "OK");
      assert.equal(await client.get("s"), "v");
      await client.hSet("h", { a: "1", b: "2" });
      assert.deepEqual({ ...(await client.hGetAll("h")) }, { a: "1", b: "2" });
      await client.zAdd("z", [{ score: 1.5, value: "a" }, { score: 2, value: "b" }]);
      assert.deepEqual((await client.zRangeWithScores("z", 0, -1)).map((e) => ({ ...e })), [{ value: "a", score: 1.5 }, { value: "b", score: 2 }]);
      await client.rPush("l", ["1", "2"]);
      assert.deepEqual(await client.lRange("l", 0, -1), ["1", "2"]);
    });

    await t.test("transactions", async () => {
      assert.deepEqual(await client.multi().set("a", "1").incr("a").get("a").exec(), ["OK", 2, "2"]);
      await client.watch("w");
      await other.set("w", "1");
      await assert.rejects(client.multi().set("w", "2").exec());
    });

    await t.test("scripts and functions", async () => {
      assert.equal(await client.eval("return redis.call('incrby', KEYS[1], ARGV[1])", { keys: ["n"], arguments: ["3"] }), 3);
      await client.functionLoad("#!lua name=compat\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)", { REPLACE: true });
      assert.equal(await client.fCall("twice", { keys: [], arguments: ["21"] }), 42);
      await client.functionDelete("compat");
    });

    await t.test("streams", async () => {
      const id = await client.xAdd("st", "*", { k: "v" });
      const [entry] = await client.xRange("st", "-", "+");
      assert.equal(entry.id, id);
      assert.equal(entry.message.k, "v");
    });

    await t.test("blocking", async () => {
      const popped = other.blPop("q", 5);
      await client.rPush("q", "job");
      assert.equal((await popped).element, "job");
    });

    await t.test("messages, sharded ones too", async () => {
      const sub = await connect();
      const got = [];
      let all;
      const done = new Promise((resolve) => (all = resolve));
      const take = (m) => got.push(m) === 2 && all();
      await sub.subscribe("c", take);
      await sub.sSubscribe("c", take);
      assert.equal(await client.publish("c", "one"), 1);
      assert.equal(await client.sPublish("c", "two"), 1);
      await done;
      assert.deepEqual(got.sort(), ["one", "two"]);
      await sub.close();
    });
  });
}
