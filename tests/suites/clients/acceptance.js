// ioredis, as it comes, through everything that happens to a cluster: see acceptance.py.
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const Redis = require("ioredis");

const [port, name, directory] = process.argv.slice(2);
(async () => {
  const client = new Redis(Number(port));
  let attempts = 0;
  let connections = 0;
  client.on("connect", () => (attempts += 1));
  // A connection is one once the server has answered: see acceptance.py.
  client.on("ready", () => (connections += 1));
  // The library connects again, and sends again what was not answered, by itself.
  client.on("error", () => {});
  let rounds = 0;
  while (!fs.existsSync(path.join(directory, "stop"))) {
    rounds += 1;
    assert.equal(await client.set(`${name}:${rounds}`, rounds), "OK");
    assert.equal(await client.get(`${name}:${rounds}`), String(rounds), "its own write");
    await client.incr(`${name}:count`);
    await client.rpush(`${name}:list`, rounds);
    if (rounds % 20 === 0) {
      fs.writeFileSync(path.join(directory, `.${name}`), `${rounds} ${connections - 1} ${attempts - 1}\n`);
      fs.renameSync(path.join(directory, `.${name}`), path.join(directory, name));
    }
  }
  const broken = connections - 1;
  const count = Number(await client.get(`${name}:count`));
  assert(rounds <= count && count <= rounds + broken, `${count} for ${rounds} and ${broken} connections broken`);
  const numbers = (await client.lrange(`${name}:list`, 0, -1)).map(Number);
  assert.equal(new Set(numbers).size, rounds, "an element is missing");
  assert(numbers.length <= rounds + broken, "elements twice");
  assert(numbers.every((number, at) => at === 0 || numbers[at - 1] <= number), "elements out of order");
  for (let start = 1; start <= rounds; start += 500) {
    const keys = Array.from({ length: Math.min(500, rounds + 1 - start) }, (_, at) => start + at);
    assert.deepEqual(await client.mget(keys.map((key) => `${name}:${key}`)), keys.map(String));
  }
  client.disconnect();
  console.log(`ioredis, ${name}: ${rounds} rounds, ${broken} broken connections, no error reply, nothing lost`);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
