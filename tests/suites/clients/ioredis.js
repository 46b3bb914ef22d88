// What programs do with ioredis.
const assert = require("node:assert");
const Redis = require("ioredis");

async function use(client) {
  await client.flushall();
  assert.equal(await client.ping(), "PONG");
  assert.equal(await client.set("key", "value", "EX", 60), "OK");
  assert.equal(await client.get("key"), "value");
  const binary = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  await client.set("binary", binary);
  assert.deepEqual(await client.getBuffer("binary"), binary);
  assert.equal(await client.set("lock", "token", "PX", 30000, "NX"), "OK");
  assert.equal(await client.set("lock", "other", "PX", 30000, "NX"), null);
  assert.equal(await client.incrby("counter", 5), 5);
  await client.mset({ a: 1, b: 2 });
  assert.deepEqual(await client.mget("a", "b", "none"), ["1", "2", null]);
  const pipeline = client.pipeline();
  for (let number = 0; number < 1000; number++) pipeline.set(`scan:${number}`, number);
  assert.equal((await pipeline.exec()).filter(([error, reply]) => !error && reply === "OK").length, 1000);
  const seen = new Set();
  for await (const keys of client.scanStream({ match: "scan:*", count: 100 })) keys.forEach((key) => seen.add(key));
  assert.equal(seen.size, 1000);
  await assert.rejects(client.incr("key"), /ERR value is not an integer or out of range/);
  assert.match(await client.info("server"), /redis_version:7/);
  // Commands of one moment travel in one pipeline, and are answered in their order.
  const many = await Promise.all(Array.from({ length: 500 }, () => client.incr("many")));
  assert.deepEqual(many, Array.from({ length: 500 }, (_, at) => at + 1));
  assert.equal(await client.quit(), "OK");
}

use(new Redis({ port: Number(process.argv[2]), enableAutoPipelining: true })).catch((error) => {
  console.error(error);
  process.exit(1);
});
