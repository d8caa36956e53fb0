// Smaller clients of the REST API: @upstash/lock and @upstash/queue.
import test from "node:test";
import assert from "node:assert/strict";
import { Redis } from "@upstash/redis";
import { Lock } from "@upstash/lock";
import { Queue } from "@upstash/queue";

const redis = new Redis({ url: process.env.KV_REST_API_URL, token: process.env.KV_REST_API_TOKEN });
test.before(() => redis.flushall());

test("a lock is one holder's", async () => {
  const options = { id: "lock", redis, lease: 10_000, retry: { attempts: 1, delay: 1 } };
  const a = new Lock(options);
  const b = new Lock(options);
  assert.equal(await a.acquire(), true);
  assert.equal(await b.acquire(), false);
  assert.equal(await b.release(), false);
  assert.equal(await a.extend(10_000), true);
  assert.equal(await a.getStatus(), "ACQUIRED");
  assert.equal(await a.release(), true);
  assert.equal(await b.acquire(), true);
});

test("a queue's messages are verified or come again", async () => {
  const queue = new Queue({ redis, queueName: "jobs", concurrencyLimit: 2, autoVerify: false });
  assert.ok(await queue.sendMessage({ n: 1 }));
  const got = await queue.receiveMessage();
  assert.deepEqual(got.body, { n: 1 });
  assert.equal(await queue.verifyMessage(got.streamId), "VERIFIED");
});
