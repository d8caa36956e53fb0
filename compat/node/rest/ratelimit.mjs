// @upstash/ratelimit against the REST API at KV_REST_API_URL: every algorithm.
import test from "node:test";
import assert from "node:assert/strict";
import { Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis";

const redis = new Redis({ url: process.env.KV_REST_API_URL, token: process.env.KV_REST_API_TOKEN });
test.before(() => redis.flushall());

// Its scripts begin with a flag that redis-server 7.0 does not know.
const only = process.env.BEHIND === "larder" ? {} : { skip: "redis-server refuses the flag allow-key-locking" };

const algorithms = {
  fixedWindow: Ratelimit.fixedWindow(5, "1 h"),
  slidingWindow: Ratelimit.slidingWindow(5, "1 h"),
  tokenBucket: Ratelimit.tokenBucket(5, "1 h", 5),
  cachedFixedWindow: Ratelimit.cachedFixedWindow(5, "1 h"),
};

for (const [name, limiter] of Object.entries(algorithms)) {
  test(name, only, async () => {
    const limit = new Ratelimit({ redis, limiter, prefix: name, ephemeralCache: false });
    if (name === "cachedFixedWindow") {
      const cached = new Ratelimit({ redis, limiter, prefix: name, ephemeralCache: new Map() });
      const all = [];
      for (let i = 0; i < 7; i++) {
        const r = await cached.limit("a");
        await r.pending;
        all.push(r.success);
      }
      assert.deepEqual(all, [true, true, true, true, true, false, false]);
      return;
    }
    const all = [];
    for (let i = 0; i < 7; i++) all.push(await limit.limit("a"));
    await Promise.all(all.map((r) => r.pending));
    assert.deepEqual(all.map((r) => r.success), [true, true, true, true, true, false, false]);
    assert.deepEqual(all.map((r) => r.remaining), [4, 3, 2, 1, 0, 0, 0]);
    assert.ok(all[6].reset > Date.now());
    const left = await limit.getRemaining("a");
    assert.equal(left.remaining, 0);
    await limit.resetUsedTokens("a");
    assert.equal((await limit.limit("a")).success, true);
    assert.equal((await limit.limit("b", { rate: 4 })).remaining, 1);
    assert.equal((await limit.limit("b", { rate: 4 })).success, false);
    assert.equal((await Promise.all([...Array(20)].map(() => limit.limit("crowd")))).filter((r) => r.success).length, 5);
  });
}

test("dynamic limits", only, async () => {
  const limit = new Ratelimit({ redis, limiter: Ratelimit.slidingWindow(5, "1 h"), prefix: "dynamic", dynamicLimits: true, ephemeralCache: false });
  await limit.setDynamicLimit({ limit: 2 });
  assert.equal((await limit.getDynamicLimit()).dynamicLimit, 2);
  const all = [];
  for (let i = 0; i < 3; i++) all.push((await limit.limit("a")).success);
  assert.deepEqual(all, [true, true, false]);
  await limit.setDynamicLimit({ limit: false });
  assert.equal((await limit.limit("a")).success, true);
});

test("the deny lists and analytics", only, async () => {
  // The client fetches a public list of addresses once a day; here there is a short one.
  const original = globalThis.fetch;
  globalThis.fetch = (where, ...more) => (String(where).includes("githubusercontent") ? Promise.resolve(new Response("10.0.0.66\n10.0.0.67\n")) : original(where, ...more));
  try {
    const limit = new Ratelimit({ redis, limiter: Ratelimit.fixedWindow(5, "1 h"), prefix: "denied", analytics: true, enableProtection: true, ephemeralCache: false });
    await redis.sadd("denied:denyList:all", "bad-user");
    const refused = await limit.limit("bad-user", { ip: "10.0.0.1" });
    await refused.pending;
    assert.equal(refused.success, false);
    assert.equal(refused.reason, "denyList");
    assert.equal(refused.deniedValue, "bad-user");
    const listed = await limit.limit("some-user", { ip: "10.0.0.66" });
    await listed.pending;
    assert.equal(listed.deniedValue, "10.0.0.66");
    const allowed = await limit.limit("good-user", { ip: "10.0.0.1" });
    await allowed.pending;
    assert.equal(allowed.success, true);
    assert.equal(await redis.scard("denied:denyList:all"), 3);
    assert.ok((await redis.keys("denied:events:*")).length >= 1);
  } finally {
    globalThis.fetch = original;
  }
});

test("waiting until there is room", only, async () => {
  const limit = new Ratelimit({ redis, limiter: Ratelimit.fixedWindow(1, "300 ms"), prefix: "wait", ephemeralCache: false });
  await limit.limit("a");
  assert.equal((await limit.blockUntilReady("a", 5000)).success, true);
});
