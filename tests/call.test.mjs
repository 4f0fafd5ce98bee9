// @ts-check
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Peer } from './support/peer.mjs';
import { startCallOf } from './support/people.mjs';
import { startServer } from './support/server.mjs';
import { Camera, Microphone } from './support/wrtc.mjs';

/** @type {import('./support/server.mjs').Server} */
let server;
/** What a test has opened. @type {{ close?(): void, stop?(): void }[]} */
const open = [];

before(async () => {
  server = await startServer();
});
after(() => server.stop());
afterEach(() => {
  for (const thing of open.splice(0).reverse()) (thing.close ?? thing.stop)?.call(thing);
});

/** @template {{ close?(): void, stop?(): void }} Thing @param {Thing} thing */
function use(thing) {
  open.push(thing);
  return thing;
}

test('two people hear and see each other', async () => {
  const { people, call } = await startCallOf(server, ['Alice', 'Bob']);
  const alice = use(await Peer.join(people[0], call));
  const bob = use(await Peer.join(people[1], call));
  const cameras = [use(new Camera({ hue: 60 })), use(new Camera({ hue: 200 }))];
  const mics = [use(new Microphone({ hertz: 440 })), use(new Microphone({ hertz: 700 }))];

  await alice.produce('mic', mics[0].track);
  await alice.produce('camera', cameras[0].track);
  await bob.produce('mic', mics[1].track);
  await bob.produce('camera', cameras[1].track);

  await (await bob.eyesOn(alice)).see(cameras[0]);
  await (await alice.eyesOn(bob)).see(cameras[1]);
  await (await bob.earsOn(alice)).hear(mics[0]);
  await (await alice.earsOn(bob)).hear(mics[1]);

  await bob.leave();
  await alice.leave();
  const record = await people[0].call(call.id);
  assert.equal(record.status, 'ended');
  assert.equal(record.endReason, 'last-left');
});
