// What programs do with node-redis, in both protocols.
const assert = require("node:assert");
const { createClient } = require("redis");

async function use(RESP) {
  const client = createClient({ url: `redis://127.0.0.1:${process.argv[2]}`, RESP });
  await client.connect();
  await client.flushAll();
  assert.equal(await client.ping(), "PONG");
  assert.equal(await client.set("key", "value", { EX: 60 }), "OK");
  assert.equal(await client.get("key"), "value");
  assert.equal(await client.set("key", "other", { NX: true }), null);
  assert.equal(await client.incrBy("counter", 5), 5);
  assert.equal(await client.mSet({ a: "1", b: "2" }), "OK");
  assert.deepEqual(await client.mGet(["a", "b", "none"]), ["1", "2", null]);
  assert.equal(await client.expire("a", 100), 1);
  assert.ok((await client.ttl("a")) > 90);
  const many = await Promise.all(Array.from({ length: 1000 }, (_, at) => client.set(`scan:${at}`, "x")));
  assert.ok(many.every((reply) => reply === "OK"));
  const seen = new Set();
  for await (const keys of client.scanIterator({ MATCH: "scan:*", COUNT: 100 })) for (const key of [keys].flat()) seen.add(key);
  assert.equal(seen.size, 1000);
  await assert.rejects(client.incr("key"), /ERR value is not an integer or out of range/);
  assert.equal(await client.del(["a", "b"]), 2);
  await client.close();
}

(async () => {
  for (const RESP of [2, 3]) await use(RESP);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
