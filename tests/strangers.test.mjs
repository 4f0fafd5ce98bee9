// @ts-check
/** Clients that never show a token: what they cost, and that others get in beside them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { test } from 'node:test';
import { serverForThisFile } from './support/fixture.mjs';
import { signIn } from './support/people.mjs';
import { Signaling } from './support/signaling.mjs';
import { until } from './support/until.mjs';

const fixture = serverForThisFile();

const elsewhere =
  process.platform !== 'linux' && 'resident memory is read from /proc, which is only on Linux';

test('tens of thousands of handshakes by polling leave the memory as it was', {
  skip: elsewhere,
}, async (context) => {
  const total = Number(process.env.HANDSHAKES ?? 20_000);
  const handshake = `GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: ${host()}\r\n\r\n`;
  const before = await warmedUp(handshake);
  const peak = watchMemory();
  await Promise.all(Array.from({ length: 8 }, () => pipeline(handshake, total / 8)));
  const grown = (await peak.stop()) - before;
  context.diagnostic(`${total} handshakes: ${grown.toFixed(1)} MiB more at most`);
  assert.ok(grown < 10, `${grown} MiB`);
  await letsSomebodyIn();
});

test('a thousand unfinished frames take little, and the oldest make room', {
  skip: elsewhere,
}, async (context) => {
  const before = await residentMiB();
  const peak = watchMemory();
  const sockets = await Promise.all(Array.from({ length: 1_000 }, () => halfAFrame()));
  const grown = (await peak.stop()) - before;
  context.diagnostic(`1000 frames of 255 kB, unfinished: ${grown.toFixed(1)} MiB more at most`);
  assert.ok(grown < 40, `${grown} MiB`);
  await letsSomebodyIn();
  // Nobody is waited for longer than a few seconds.
  await until('every one of them is closed', () => sockets.every((socket) => socket.closed));
});

test('a session that shows no token is closed in a few seconds, by polling too', async () => {
  const url = `${fixture.server.url}/socket.io/?EIO=4&transport=polling`;
  const opened = (await (await fetch(url)).text()).slice(1);
  const { sid } = JSON.parse(opened);
  assert.equal(await poll(sid), 200);
  await until('the session is unknown', async () => (await poll(sid)) === 400);
});

test('before a token little may be posted, and the session of somebody admitted takes more', async () => {
  const url = `${fixture.server.url}/socket.io/?EIO=4&transport=polling`;
  const { sid } = JSON.parse((await (await fetch(url)).text()).slice(1));
  const post = (/** @type {string} */ body) => fetch(`${url}&sid=${sid}`, { method: 'POST', body });
  assert.equal((await post(`42/calls,["x","${'x'.repeat(20_000)}"]`)).status, 413);
  const ada = await signIn(fixture.server, 'Ada');
  assert.equal((await post(`40/calls,${JSON.stringify({ token: ada.token })}`)).status, 200);
  await until('Ada is admitted', async () => {
    const answer = await post(`42/calls,["media:client-stats",{"x":"${'x'.repeat(20_000)}"}]`);
    return answer.status === 200;
  });
});

/** @param {string} sid */
async function poll(sid) {
  const url = `${fixture.server.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`;
  return (await fetch(url)).status;
}

async function letsSomebodyIn() {
  const bob = await signIn(fixture.server, 'Bob');
  // Handshakes from this address are refused until the flood is a few seconds old.
  const signaling = await until('Bob gets in', () => Signaling.connect(bob));
  signaling.close();
}

function host() {
  return new URL(fixture.server.url).host;
}

/** Sends the same request again and again on one connection, without waiting, and counts the answers.
 * @param {string} request
 * @param {number} times
 */
async function pipeline(request, times) {
  const { hostname, port } = new URL(fixture.server.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let answered = 0;
  socket.setEncoding('latin1').on('data', (/** @type {string} */ text) => {
    answered += text.split('HTTP/1.1 ').length - 1;
  });
  for (let sent = 0; sent < times; sent += 10) {
    if (!socket.write(request.repeat(10))) await once(socket, 'drain');
  }
  // An answer may be cut in two by the socket's reads, so a few are not seen.
  await until('the handshakes are answered', () => answered > 0.95 * times || socket.closed, {
    seconds: 60,
  });
  socket.destroy();
}

/** A WebSocket that has sent a large part of its first frame. */
async function halfAFrame() {
  const { hostname, port } = new URL(fixture.server.url);
  const socket = connect(Number(port), hostname).on('error', () => {});
  await once(socket, 'connect');
  socket.resume();
  socket.write(
    `GET /calls/ws HTTP/1.1\r\nHost: ${host()}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  const header = Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0]);
  socket.write(Buffer.concat([header, Buffer.alloc(255_000)]));
  return socket;
}

/** The memory of a server that has seen such requests before: buffers and tables have their size.
 * @param {string} request */
async function warmedUp(request) {
  await pipeline(request, 20);
  return residentMiB();
}

function watchMemory() {
  let peak = 0;
  let watching = true;
  const watch = (async () => {
    while (watching) {
      peak = Math.max(peak, await residentMiB());
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return {
    async stop() {
      watching = false;
      await watch;
      return Math.max(peak, await residentMiB());
    },
  };
}

async function residentMiB() {
  const status = await readFile(`/proc/${fixture.server.process.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}
