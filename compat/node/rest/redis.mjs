// @upstash/redis against the REST API at KV_REST_API_URL. BEHIND says what is behind it: larder, or redis (7.0, which lacks the newer commands).
import test from "node:test";
import assert from "node:assert/strict";
import { Redis, errors } from "@upstash/redis";

const url = process.env.KV_REST_API_URL;
const token = process.env.KV_REST_API_TOKEN;
const newer = process.env.BEHIND === "larder" ? {} : { skip: "redis-server 7.0 does not know these commands" };
const redis = new Redis({ url, token });
test.beforeEach(() => redis.flushall());

test("strings", async () => {
  assert.equal(await redis.set("s", "v", { ex: 100 }), "OK");
  assert.equal(await redis.get("s"), "v");
  assert.ok((await redis.ttl("s")) > 90);
  assert.equal(await redis.set("s", "w", { nx: true }), null);
  assert.equal(await redis.set("s", "w", { get: true, keepTtl: true }), "v");
  await redis.set("object", { a: [1, "zwei", null, true], n: 1.5 });
  assert.deepEqual(await redis.get("object"), { a: [1, "zwei", null, true], n: 1.5 });
  await redis.mset({ a: 1, b: "two", c: { three: 3 } });
  assert.deepEqual(await redis.mget("a", "b", "c", "none"), [1, "two", { three: 3 }, null]);
  assert.equal(await redis.incrby("a", 41), 42);
  assert.equal(await redis.incrbyfloat("a", 0.5), 42.5);
  assert.equal(await redis.append("b", "!"), 4);
  assert.equal(await redis.getrange("b", 0, 2), "two");
  assert.equal(await redis.setrange("b", 3, "?"), 4);
  assert.equal(await redis.getdel("b"), "two?");
  assert.equal(await redis.getex("s", { persist: true }), "w");
  assert.equal(await redis.ttl("s"), -1);
  assert.equal(await redis.setnx("new", 1), 1);
  assert.equal(await redis.msetnx({ new: 2, other: 3 }), 0);
  assert.equal(await redis.getset("new", 5), 1);
  assert.equal(await redis.copy("new", "copied"), "COPIED");
  assert.equal(await redis.copy("new", "new"), "NOT_COPIED");
  assert.equal(await redis.rename("copied", "moved"), "OK");
  assert.equal(await redis.exists("moved", "copied"), 1);
  assert.equal(await redis.type("moved"), "string");
  assert.equal(await redis.dbsize(), 6);
  assert.equal(await redis.setbit("bits", 7, 1), 0);
  assert.equal(await redis.bitcount("bits", 0, -1), 1);
  const lone = new Redis({ url, token, enableAutoPipelining: false }); // its builder is not for pipelines
  assert.deepEqual(await lone.bitfield("field").set("u8", 0, 200).incrby("u8", 0, 10).get("u8", 0).exec(), [0, 210, 210]);
  assert.equal(await redis.echo("hello"), "hello");
  assert.equal(await redis.ping(), "PONG");
});

test("values that look like others, are empty, large or no ASCII", async () => {
  for (const value of ["", " ", "OK", "null", "true", "1e3", "007", "é😀\u0000\r\n\"\\", "T0s=", "x".repeat(300_000)]) {
    for (const options of [{}, { responseEncoding: false }]) {
      const plain = new Redis({ url, token, automaticDeserialization: false, ...options });
      await plain.set("v", value);
      assert.equal(await plain.get("v"), value);
      assert.deepEqual(await plain.mget("v"), [value]);
    }
  }
  const big = "9223372036854775807";
  await redis.set("big", big);
  assert.equal(await redis.get("big"), big); // no rounding
});

test("hashes", async () => {
  assert.equal(await redis.hset("h", { a: 1, b: "two", c: { deep: true } }), 3);
  assert.deepEqual(await redis.hgetall("h"), { a: 1, b: "two", c: { deep: true } });
  assert.equal(await redis.hgetall("none"), null);
  assert.deepEqual(await redis.hmget("h", "a", "none"), { a: 1, none: null });
  assert.equal(await redis.hincrby("h", "a", 2), 3);
  assert.equal(await redis.hincrbyfloat("h", "a", 0.25), 3.25);
  assert.equal(await redis.hexists("h", "b"), 1);
  assert.equal(await redis.hsetnx("h", "b", 1), 0);
  assert.equal(await redis.hstrlen("h", "b"), 3);
  assert.deepEqual((await redis.hkeys("h")).sort(), ["a", "b", "c"]);
  assert.deepEqual(Object.keys(await redis.hrandfield("h", 2, true)).length, 2);
  const [cursor, flat] = await redis.hscan("h", 0);
  assert.equal(String(cursor), "0");
  assert.equal(flat.length, 6);
  assert.equal(await redis.hdel("h", "a", "b"), 2);
});

test("fields that expire", newer, async () => {
  await redis.hset("h", { a: 1, b: 2, c: 3 });
  assert.deepEqual(await redis.hexpire("h", ["a", "none"], 100), [1, -2]);
  assert.ok((await redis.httl("h", "a"))[0] > 90);
  assert.deepEqual(await redis.hpersist("h", "a"), [1]);
  assert.deepEqual(await redis.hgetdel("h", "c"), { c: 3 });
  assert.deepEqual(await redis.hgetex("h", { ex: 50 }, "a"), { a: 1 });
  assert.equal(await redis.hsetex("h", { expiration: { ex: 60 } }, { d: 4 }), 1);
});

test("lists and sets", async () => {
  assert.equal(await redis.rpush("l", 1, "two", { three: 3 }), 3);
  assert.deepEqual(await redis.lrange("l", 0, -1), [1, "two", { three: 3 }]);
  assert.equal(await redis.linsert("l", "before", "two", 1.5), 4);
  assert.equal(await redis.lpos("l", "two"), 2);
  assert.equal(await redis.lmove("l", "m", "left", "right"), 1);
  assert.deepEqual(await redis.lmpop(2, ["none", "l"], "RIGHT", 2), ["l", [{ three: 3 }, "two"]]);
  assert.equal(await redis.lpop("m"), 1);
  assert.equal(await redis.lpop("m"), null);
  assert.equal(await redis.sadd("s", "a", "b", "c"), 3);
  assert.equal(await redis.sadd("t", "b", "d"), 2);
  assert.deepEqual((await redis.sunion("s", "t")).sort(), ["a", "b", "c", "d"]);
  assert.deepEqual(await redis.sinter("s", "t"), ["b"]);
  assert.equal(await redis.sdiffstore("u", "s", "t"), 2);
  assert.deepEqual(await redis.smismember("s", ["a", "z"]), [1, 0]);
  assert.ok(["a", "b", "c"].includes(await redis.srandmember("s")));
  assert.equal((await redis.spop("s", 2)).length, 2);
});

test("sorted sets", async () => {
  assert.equal(await redis.zadd("z", { score: 1, member: "one" }, { score: 2.5, member: "two" }, { score: 1791875708058440, member: "far" }), 3);
  assert.deepEqual(await redis.zrange("z", 0, -1, { withScores: true }), ["one", 1, "two", 2.5, "far", 1791875708058440]);
  assert.deepEqual(await redis.zrange("z", "(1", "+inf", { byScore: true, offset: 0, count: 1 }), ["two"]);
  assert.equal(await redis.zadd("z", { gt: true, ch: true }, { score: 3, member: "two" }), 1);
  assert.equal(await redis.zincrby("z", 2, "one"), 3);
  assert.equal(await redis.zscore("z", "none"), null);
  assert.deepEqual(await redis.zmscore("z", ["one", "none"]), [3, null]);
  assert.equal(await redis.zrank("z", "far"), 2);
  assert.equal(await redis.zcount("z", 0, 10), 2);
  await redis.zadd("y", { score: 10, member: "one" });
  assert.deepEqual(await redis.zunion(2, ["z", "y"], { withScores: true, weights: [1, 2], aggregate: "max" }), ["two", 3, "one", 20, "far", 1791875708058440]);
  assert.equal(await redis.zinterstore("x", 2, ["z", "y"]), 1);
  assert.deepEqual(await redis.zpopmax("z", 1), ["far", 1791875708058440]);
  assert.deepEqual(await redis.zpopmin("z", 2), ["one", 3, "two", 3]);
});

test("streams", async () => {
  const id = await redis.xadd("st", "*", { field: "v", n: 1 });
  assert.match(id, /^\d+-\d+$/);
  assert.equal(await redis.xlen("st"), 1);
  assert.deepEqual(await redis.xrange("st", "-", "+"), { [id]: { field: "v", n: 1 } });
  await redis.xgroup("st", { type: "CREATE", group: "g", id: "0" });
  assert.deepEqual(await redis.xreadgroup("g", "c", "st", ">", { count: 10 }), [["st", [[id, ["field", "v", "n", 1]]]]]);
  assert.deepEqual(await redis.xread("st", "0-0"), [["st", [[id, ["field", "v", "n", 1]]]]]);
  assert.equal((await redis.xpending("st", "g", "-", "+", 10)).length, 1);
  assert.equal(await redis.xack("st", "g", id), 1);
  assert.equal(await redis.xtrim("st", { strategy: "MAXLEN", threshold: 0, exactness: "=" }), 1);
});

test("streams: what Redis 8.2 added", newer, async () => {
  await redis.xgroup("st", { type: "CREATE", group: "g", id: "0", options: { MKSTREAM: true } });
  const id = await redis.xadd("st", "*", { a: 1 });
  await redis.xreadgroup("g", "c", "st", ">");
  assert.deepEqual(await redis.xackdel("st", "g", "DELREF", id), [1]);
  const other = await redis.xadd("st", "*", { a: 2 });
  assert.deepEqual(await redis.xdelex("st", "KEEPREF", other), [1]);
});

test("places, sketches and bits", async () => {
  assert.equal(await redis.geoadd("geo", { longitude: 13.361389, latitude: 38.115556, member: "Palermo" }, { longitude: 15.087269, latitude: 37.502669, member: "Catania" }), 2);
  assert.equal(await redis.geodist("geo", "Palermo", "Catania", "KM"), 166.2742);
  const [near] = await redis.geosearch("geo", { type: "FROMLONLAT", coordinate: { lon: 13, lat: 38 } }, { type: "BYRADIUS", radius: 100, radiusType: "KM" }, "ASC", { withDist: true, withCoord: true });
  assert.equal(near.member, "Palermo");
  assert.ok(Math.abs(near.coord.long - 13.361389) < 1e-5);
  assert.equal((await redis.geopos("geo", "Catania", "none")).length, 1);
  assert.deepEqual(await redis.geohash("geo", "Palermo"), ["sqc8b49rny0"]);
  assert.equal(await redis.geosearchstore("near", "geo", { type: "FROMMEMBER", member: "Palermo" }, { type: "BYRADIUS", radius: 200, radiusType: "KM" }, "ASC"), 2);
  await redis.pfadd("hll", "a", "b", "a");
  assert.equal(await redis.pfcount("hll"), 2);
  await redis.set("x", "abc");
  await redis.set("y", "abd");
  assert.equal(await redis.bitop("xor", "d", "x", "y"), 3);
});

test("bits: what Redis 8.2 added", newer, async () => {
  await redis.set("x", "abc");
  await redis.set("y", "abd");
  for (const op of ["diff", "diff1", "andor"]) assert.equal(await redis.bitop(op, "d", "x", "y"), 3);
  assert.equal(await redis.bitop("one", "d", "x", "y"), 3);
});

test("scripts and functions", async () => {
  const text = "return {KEYS[1], ARGV[1], redis.call('INCRBY', KEYS[1], ARGV[1])}";
  assert.deepEqual(await redis.eval(text, ["n"], [5]), ["n", 5, 5]);
  const sha = await redis.scriptLoad(text);
  assert.deepEqual(await redis.scriptExists(sha, "0".repeat(40)), [1, 0]);
  assert.deepEqual(await redis.evalsha(sha, ["n"], [5]), ["n", 5, 10]);
  await redis.scriptFlush({ async: false });
  assert.deepEqual(await redis.createScript(text).exec(["n"], [1]), ["n", 1, 11]);
  const reads = redis.createScript("return redis.call('GET', KEYS[1])", { readonly: true });
  assert.equal(await reads.exec(["n"], []), 11);
  await assert.rejects(redis.evalRo("return redis.call('SET', KEYS[1], 1)", ["n"], []), errors.UpstashError);
  const locking = redis.createScript("#!lua flags=allow-key-locking\nreturn redis.call('INCR', KEYS[1])");
  if (process.env.BEHIND === "larder") assert.equal(await locking.exec(["n"], []), 12);
  assert.equal(await redis.functions.load({ code: "#!lua name=compat\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)", replace: true }), "compat");
  assert.equal(await redis.functions.call("twice", [], [21]), 42);
  assert.equal((await redis.functions.list())[0].libraryName, "compat");
  assert.equal(await redis.functions.delete("compat"), "OK");
});

test("pipelines and transactions", async () => {
  assert.deepEqual(await redis.pipeline().set("a", 1).incr("a").get("a").hgetall("none").exec(), ["OK", 2, 2, null]);
  assert.deepEqual(await redis.multi().set("b", { x: 1 }).get("b").zadd("z", { score: 1, member: "m" }).zrange("z", 0, -1, { withScores: true }).exec(), ["OK", { x: 1 }, 1, ["m", 1]]);
  const mixed = await redis.pipeline().set("s", "x").lpush("s", 1).get("s").exec({ keepErrors: true });
  assert.deepEqual(mixed.map((r) => r.result ?? null), ["OK", null, "x"]);
  assert.match(mixed[1].error, /^WRONGTYPE/);
  await assert.rejects(redis.pipeline().lpush("s", 1).exec(), errors.UpstashError);
  const p = redis.pipeline();
  for (let i = 0; i < 2000; i++) p.set(`k${i}`, i);
  assert.equal((await p.exec()).filter((r) => r === "OK").length, 2000);
});

test("what is asked in one turn goes together", async () => {
  let requests = 0;
  const counted = new Redis({ url, token, enableAutoPipelining: true });
  const original = globalThis.fetch;
  globalThis.fetch = (...all) => (requests++, original(...all));
  try {
    const all = await Promise.all([...Array(50).keys()].map((i) => counted.set(`k${i}`, i)));
    assert.equal(all.length, 50);
    assert.equal(requests, 1);
    assert.deepEqual(await Promise.all([...Array(50).keys()].map((i) => counted.get(`k${i}`))), [...Array(50).keys()]);
    assert.equal(requests, 2);
  } finally {
    globalThis.fetch = original;
  }
});

test("scans", async () => {
  await redis.mset(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k:${i}`, i])));
  await redis.zadd("k:z", { score: 1, member: "m" });
  const keys = new Set();
  const types = new Map();
  let cursor = "0";
  do {
    const [next, page] = await redis.scan(cursor, { match: "k:*", count: 50 });
    page.forEach((k) => keys.add(k));
    cursor = next;
  } while (cursor !== "0");
  assert.equal(keys.size, 501);
  do {
    const [next, page] = await redis.scan(cursor, { withType: true, count: 100 });
    page.forEach(({ key, type }) => types.set(key, type));
    cursor = next;
  } while (cursor !== "0");
  assert.equal(types.get("k:z"), "zset");
  assert.equal(types.get("k:1"), "string");
  assert.equal(types.size, 501);
  assert.equal((await redis.keys("k:49*")).length, 11);
});

test("messages", { timeout: 20000 }, async () => {
  const sub = redis.subscribe(["news", "weather"]);
  const got = new Promise((resolve) => sub.on("message", resolve));
  const own = new Promise((resolve) => sub.on("message:weather", resolve));
  await new Promise((resolve) => {
    let n = 0;
    sub.on("subscribe", () => ++n === 2 && resolve());
  });
  const pattern = redis.psubscribe("n*");
  const matched = new Promise((resolve) => pattern.on("pmessage", resolve));
  await new Promise((resolve) => pattern.on("psubscribe", resolve));
  assert.equal(await redis.publish("news", { a: [1, 2] }), 2);
  assert.deepEqual(await got, { channel: "news", message: { a: [1, 2] } });
  assert.deepEqual(await matched, { pattern: "n*", channel: "news", message: { a: [1, 2] } });
  await redis.publish("weather", "sun, later rain");
  assert.deepEqual(await own, { channel: "weather", message: "sun, later rain" });
  await sub.unsubscribe();
  await pattern.unsubscribe();
});

test("tokens and errors", async () => {
  await redis.set("k", 1);
  const reader = new Redis({ url, token: process.env.KV_REST_API_READ_ONLY_TOKEN });
  assert.equal(await reader.get("k"), 1);
  await assert.rejects(reader.set("k", 2), (e) => e instanceof errors.UpstashError && /NOPERM this user has no permissions to run the 'set' command/.test(e.message));
  await assert.rejects(reader.keys("*"), /NOPERM/);
  const stranger = new Redis({ url, token: "wrong", retry: false });
  await assert.rejects(stranger.get("k"), (e) => e instanceof errors.UpstashError && /WRONGPASS/.test(e.message));
  await assert.rejects(redis.lpush("k", 1), (e) => e instanceof errors.UpstashError && e.message.includes("WRONGTYPE Operation against a key holding the wrong kind of value"));
  const gone = new Redis({ url: "http://127.0.0.1:1", token, retry: { retries: 1, backoff: () => 1 } });
  await assert.rejects(gone.get("k"), TypeError); // what fetch fails with
  const stopped = new AbortController();
  const late = new Redis({ url, token, signal: () => stopped.signal });
  stopped.abort("enough");
  await assert.rejects(late.get("k"));
});

test("who writes reads it, by the sync token", async () => {
  const a = new Redis({ url, token, readYourWrites: true });
  for (let i = 0; i < 20; i++) {
    await a.set("k", i);
    assert.equal(await a.get("k"), i);
  }
});
