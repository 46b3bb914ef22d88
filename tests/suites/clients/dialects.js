// ioredis as a cluster's client and as Sentinels' client, while the leader is killed: see dialects.py.
const assert = require("node:assert");
const fs = require("node:fs");
const Redis = require("ioredis");

const [kind, list, ready, killed] = process.argv.slice(2);
const nodes = list.split(",").map((port) => ({ host: "127.0.0.1", port: Number(port) }));

// until WHAT CONDITION: waits.
const until = async (what, condition) => {
  const deadline = Date.now() + 20000;
  while (!condition()) {
    assert(Date.now() < deadline, `not in time: ${what}`);
    await new Promise((next) => setTimeout(next, 10));
  }
};

// What a Sentinel publishes on +switch-master.
const listen = async (node) => {
  const subscriber = new Redis(node);
  subscriber.on("error", () => {});
  subscriber.heard = [];
  subscriber.on("message", (channel, text) => subscriber.heard.push(`${channel} ${text}`));
  await subscriber.subscribe("+switch-master");
  return subscriber;
};

// A client that listens to its Sentinels moves with the leadership although its connection does not break.
const follow = async (sentinels) => {
  const client = new Redis({ sentinels, name: "mymaster", failoverDetector: true, sentinelRetryStrategy: () => 50 });
  client.on("error", () => {});
  await client.set("followed", 1);
  const port = client.stream.remotePort;
  const operator = new Redis(port);
  assert.equal(await operator.call("RAFT.TRANSFER_LEADER"), "OK");
  operator.disconnect();
  await until("the client follows the leadership", () => client.status === "ready" && client.stream.remotePort !== port);
  assert.equal(await client.get("followed"), "1");
  assert.equal((await client.role())[0], "master");
  client.disconnect();
};

(async () => {
  const client =
    kind === "cluster"
      ? new Redis.Cluster(nodes)
      : new Redis({ sentinels: nodes, name: "mymaster", sentinelRetryStrategy: () => 50 });
  const listeners = kind === "sentinel" ? await Promise.all(nodes.map(listen)) : [];
  // The connection to the node that is killed breaks; the library goes on by itself.
  client.on("error", () => {});
  let acknowledged = 0;
  let refused = 0;
  let after = 0;
  const deadline = Date.now() + 50000;
  await client.set("js", 0);
  const first = kind === "sentinel" ? client.stream.remotePort : 0;
  while (after < 200) {
    assert(Date.now() < deadline, "it does not go on");
    try {
      await client.incr("js");
      acknowledged += 1;
      after += fs.existsSync(killed) ? 1 : 0;
    } catch (error) {
      refused += 1;
      assert(refused <= 1, error);
    }
    if (acknowledged === 100) fs.writeFileSync(ready, "");
  }
  const count = Number(await client.get("js"));
  assert(count >= acknowledged && count <= acknowledged + refused + 20, `${count} for ${acknowledged}`);
  if (kind === "sentinel") {
    const replica = new Redis({ sentinels: nodes, name: "mymaster", role: "slave" });
    replica.on("error", () => {});
    assert.equal((await replica.role())[0], "slave");
    assert.equal(await replica.get("js"), String(count));
    replica.disconnect();
    const second = client.stream.remotePort;
    const switched = `+switch-master mymaster 127.0.0.1 ${first} 127.0.0.1 ${second}`;
    const left = listeners.filter((listener) => listener.status === "ready");
    assert.equal(left.length, 2);
    await until("+switch-master", () => left.every((listener) => listener.heard.length > 0));
    for (const listener of left) assert.deepEqual(listener.heard, [switched]);
    await follow(nodes);
    for (const listener of listeners) listener.disconnect();
  }
  client.disconnect();
  console.log(`ioredis, ${kind}: ${acknowledged} acknowledged, ${refused} refused`);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
