// ioredis to a cluster that speaks TLS only.
//
//     node tls.js PORT CERTIFICATES
const fs = require('fs');
const assert = require('assert');
const Redis = require('ioredis');

const [port, certificates] = process.argv.slice(2);
const read = (name) => fs.readFileSync(`${certificates}/${name}`);
const tls = { ca: read('ca.crt'), cert: read('client.crt'), key: read('client.key') };

async function main() {
  const client = new Redis.Cluster([{ host: '127.0.0.1', port: Number(port) }], { redisOptions: { tls } });
  for (let number = 0; number < 200; number++) await client.set(`js:${number}`, number);
  assert.strictEqual(await client.get('js:199'), '199');
  assert.strictEqual(await client.get('py:7'), '7');
  await client.quit();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
