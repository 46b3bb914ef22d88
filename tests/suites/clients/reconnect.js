// ioredis connects again after a restart: reconnect.js PORT READY RESTARTED, the latter two being files.
const assert = require("node:assert");
const fs = require("node:fs");
const Redis = require("ioredis");

const [port, ready, restarted] = process.argv.slice(2);
(async () => {
  const client = new Redis({ port: Number(port), maxRetriesPerRequest: 100 });
  // While the server is away each attempt is refused; the library goes on by itself.
  client.on("error", () => {});
  await client.set("before", "restart");
  fs.writeFileSync(ready, "");
  while (!fs.existsSync(restarted)) await new Promise((next) => setTimeout(next, 10));
  assert.equal(await client.get("before"), "restart");
  await client.quit();
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
