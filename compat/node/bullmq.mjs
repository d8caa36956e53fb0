// BullMQ against the server at REDIS_PORT: jobs done, retried, delayed, by priority, repeated, in flows.
import test from "node:test";
import assert from "node:assert/strict";
import { FlowProducer, Queue, QueueEvents, Worker } from "bullmq";

const connection = { host: "127.0.0.1", port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null };
const open = [];
const keep = (thing) => (open.push(thing), thing);
test.after(async () => {
  for (const thing of open.reverse()) await thing.close();
});

test("jobs are done, retried, delayed and answered", async () => {
  const queue = keep(new Queue("compat", { connection }));
  await queue.obliterate({ force: true });
  const events = keep(new QueueEvents("compat", { connection }));
  await events.waitUntilReady();
  const tries = new Map();
  const worker = keep(new Worker("compat", async (job) => {
    tries.set(job.name, (tries.get(job.name) ?? 0) + 1);
    await job.updateProgress(50);
    if (job.name === "flaky" && tries.get("flaky") < 3) throw new Error("not yet");
    return job.data.n * 2;
  }, { connection, concurrency: 4 }));
  await worker.waitUntilReady();

  const plain = await queue.add("plain", { n: 21 });
  assert.equal(await plain.waitUntilFinished(events, 20000), 42);
  const flaky = await queue.add("flaky", { n: 1 }, { attempts: 3, backoff: { type: "fixed", delay: 20 } });
  assert.equal(await flaky.waitUntilFinished(events, 20000), 2);
  assert.equal(tries.get("flaky"), 3);
  const delayed = await queue.add("delayed", { n: 2 }, { delay: 100 });
  assert.equal(await delayed.getState(), "delayed");
  assert.equal(await delayed.waitUntilFinished(events, 20000), 4);
  const bulk = await queue.addBulk(Array.from({ length: 50 }, (_, n) => ({ name: "bulk", data: { n }, opts: { priority: 1 + (n % 3) } })));
  assert.deepEqual(await Promise.all(bulk.map((j) => j.waitUntilFinished(events, 20000))), Array.from({ length: 50 }, (_, n) => 2 * n));
  assert.deepEqual(await queue.getJobCounts("completed", "failed", "waiting", "active", "delayed"),
    { completed: 53, failed: 0, waiting: 0, active: 0, delayed: 0 });
  const failing = await queue.add("flaky-for-good", { n: 1 }, { jobId: "same", removeOnFail: false });
  assert.equal((await queue.add("again", { n: 1 }, { jobId: "same" })).id, failing.id);
});

test("a flow's parent waits for its children", async () => {
  const events = keep(new QueueEvents("compat-flow", { connection }));
  await events.waitUntilReady();
  keep(new Worker("compat-flow", async (job) => {
    if (job.name !== "parent") return job.data.n;
    return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0);
  }, { connection }));
  const flow = keep(new FlowProducer({ connection }));
  const tree = await flow.add({ name: "parent", queueName: "compat-flow",
    children: [1, 2, 3].map((n) => ({ name: "child", queueName: "compat-flow", data: { n } })) });
  assert.equal(await tree.job.waitUntilFinished(events, 20000), 6);
});

test("a scheduler repeats jobs, a paused queue does not", async () => {
  const queue = keep(new Queue("compat-repeat", { connection }));
  await queue.obliterate({ force: true });
  let runs = 0;
  let thrice;
  const done = new Promise((resolve) => (thrice = resolve));
  keep(new Worker("compat-repeat", async () => {
    if (++runs === 3) thrice();
  }, { connection }));
  await queue.upsertJobScheduler("tick", { every: 50 }, { name: "tick" });
  await done;
  await queue.removeJobScheduler("tick");
  await queue.pause();
  assert.equal(await queue.isPaused(), true);
  await queue.resume();
});
