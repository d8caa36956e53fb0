// ioredis against the server at REDIS_PORT: its main flows.
import test from "node:test";
import assert from "node:assert/strict";
import Redis from "ioredis";

const connect = (options = {}) => new Redis({ host: "127.0.0.1", port: Number(process.env.REDIS_PORT), ...options });
const redis = connect();
const other = connect();
test.beforeEach(() => redis.flushall());
test.after(() => Promise.all([redis.quit(), other.quit()]));

test("values of every type", async () => {
  assert.equal(await redis.set("s", "v", "EX", 100), "OK");
  assert.equal(await redis.get("s"), "v");
  assert.ok((await redis.ttl("s")) > 90);
  await redis.hset("h", { a: 1, b: "two" });
  assert.deepEqual(await redis.hgetall("h"), { a: "1", b: "two" });
  await redis.rpush("l", 1, 2, 3);
  assert.deepEqual(await redis.lrange("l", 0, -1), ["1", "2", "3"]);
  await redis.sadd("set", "x", "y");
  assert.deepEqual((await redis.smembers("set")).sort(), ["x", "y"]);
  await redis.zadd("z", 1, "one", 2, "two");
  assert.deepEqual(await redis.zrange("z", 0, -1, "WITHSCORES"), ["one", "1", "two", "2"]);
  await redis.setbit("bits", 7, 1);
  assert.equal(await redis.bitcount("bits"), 1);
  await redis.pfadd("hll", "a", "b");
  assert.equal(await redis.pfcount("hll"), 2);
  await redis.geoadd("geo", 13.361389, 38.115556, "Palermo");
  assert.equal((await redis.geopos("geo", "Palermo")).length, 1);
  assert.deepEqual(await redis.getBuffer("s"), Buffer.from("v"));
});

test("pipelines and transactions", async () => {
  assert.deepEqual(await redis.pipeline().set("a", 1).incr("a").get("a").exec(), [[null, "OK"], [null, 2], [null, "2"]]);
  assert.deepEqual(await redis.multi().set("b", 1).lpush("b", 2).get("b").exec().then((r) => r.map(([e, v]) => (e ? e.message : v))),
    ["OK", "WRONGTYPE Operation against a key holding the wrong kind of value", "1"]);
  await redis.watch("w");
  await other.set("w", 1);
  assert.equal(await redis.multi().set("w", 2).exec(), null);
});

test("scripts by definition, loaded when missing", async () => {
  await redis.script("FLUSH");
  redis.defineCommand("addTo", { numberOfKeys: 1, lua: "return redis.call('incrby', KEYS[1], ARGV[1])" });
  assert.equal(await redis.addTo("n", 5), 5);
  assert.equal(await redis.addTo("n", 5), 10);
  await redis.script("FLUSH");
  assert.equal(await redis.addTo("n", 1), 11);
});

test("streams, groups and blocking reads", async () => {
  await redis.xgroup("CREATE", "st", "g", "$", "MKSTREAM");
  const read = other.xreadgroup("GROUP", "g", "c", "COUNT", 10, "BLOCK", 5000, "STREAMS", "st", ">");
  const id = await redis.xadd("st", "*", "k", "v");
  assert.deepEqual(await read, [["st", [[id, ["k", "v"]]]]]);
  assert.equal((await redis.xpending("st", "g"))[0], 1);
  assert.equal(await redis.xack("st", "g", id), 1);
  const popped = other.blpop("q", 5);
  await redis.rpush("q", "job");
  assert.deepEqual(await popped, ["q", "job"]);
});

test("messages", async () => {
  const sub = connect();
  const got = new Promise((resolve) => sub.on("pmessage", (...m) => resolve(m)));
  await sub.psubscribe("news.*");
  assert.equal(await redis.publish("news.today", "hi"), 1);
  assert.deepEqual(await got, ["news.*", "news.today", "hi"]);
  await sub.quit();
});

test("scans", async () => {
  await redis.mset(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k:${i}`, i])));
  const keys = new Set();
  for await (const page of redis.scanStream({ match: "k:*", count: 50 })) page.forEach((k) => keys.add(k));
  assert.equal(keys.size, 500);
});
