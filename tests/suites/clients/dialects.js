// ioredis as a cluster's client and as Sentinels' client, while the leader is killed: see dialects.py.
const assert = require("node:assert");
const fs = require("node:fs");
const Redis = require("ioredis");

const [kind, list, ready, killed] = process.argv.slice(2);
const nodes = list.split(",").map((port) => ({ host: "127.0.0.1", port: Number(port) }));
(async () => {
  const client =
    kind === "cluster"
      ? new Redis.Cluster(nodes)
      : new Redis({ sentinels: nodes, name: "mymaster", sentinelRetryStrategy: () => 50 });
  // The connection to the node that is killed breaks; the library goes on by itself.
  client.on("error", () => {});
  let acknowledged = 0;
  let refused = 0;
  let after = 0;
  const deadline = Date.now() + 50000;
  await client.set("js", 0);
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
    assert.equal((await replica.role())[0], "slave");
    assert.equal(await replica.get("js"), String(count));
    replica.disconnect();
  }
  client.disconnect();
  console.log(`ioredis, ${kind}: ${acknowledged} acknowledged, ${refused} refused`);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
