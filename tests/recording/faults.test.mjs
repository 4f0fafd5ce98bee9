// @ts-check
/**
 * Disks that fail under a recorded call: the call does not notice, everybody is told, and what was written is kept. Each
 * disk is one of its own, in a mount namespace of the server.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { engineOfThisRun } from '../support/databases.mjs';
import { closedAfterEachTest } from '../support/fixture.mjs';
import { Refused, startCallOf } from '../support/people.mjs';
import {
  assertAgrees,
  decode,
  RUNNING,
  startRecording,
  stopRecording,
  untilFinished,
  untilTracks,
} from '../support/recordings.mjs';
import { Sender } from '../support/senders.mjs';
import { startServer } from '../support/server.mjs';
import { Signaling } from '../support/signaling.mjs';
import { lasting } from '../support/until.mjs';

/** @typedef {import('../support/server.mjs').Server} Server */

const run = promisify(execFile);
const use = closedAfterEachTest();

test('a disk that becomes full ends the recording, and the call does not notice', async () => {
  const disk = await Disk.small(8);
  const cast = await gather(disk, { RECORDING_MIN_FREE: '0' });
  await fill(join(disk.seenBy(cast.server), 'ballast'));
  await untilTold(cast, 'disk-full');
  await assertUnharmed(cast);
  await rm(join(disk.seenBy(cast.server), 'ballast'));
  const recording = await settled(cast);
  assert.deepEqual([recording.status, recording.endReason], ['incomplete', 'disk-full']);
  await assertAllOpens(recording, disk.seenBy(cast.server));
});

test('a disk with little room ends the recording in order, and takes no other', async () => {
  const disk = await Disk.small(64);
  const cast = await gather(disk, { RECORDING_MIN_FREE: String(32 * 1024 * 1024) });
  await writeFile(join(disk.seenBy(cast.server), 'ballast'), Buffer.alloc(40 * 1024 * 1024));
  await untilTold(cast, 'disk-full');
  await assert.rejects(startRecording(cast.people[0], cast.call.id), (error) => {
    return error instanceof Refused && error.code === 'storage_full' && error.status === 507;
  });
  await assertUnharmed(cast);
  const recording = await settled(cast);
  assert.deepEqual([recording.status, recording.endReason], ['incomplete', 'disk-full']);
  await assertAllOpens(recording, disk.seenBy(cast.server));
});

for (const fault of ['EIO', 'EROFS']) {
  test(`a disk that answers ${fault} ends the recording, and the call does not notice`, async () => {
    const disk = await Disk.faulty();
    const cast = await gather(disk);
    await disk.fail(fault);
    await untilTold(cast, 'storage-error');
    await assertUnharmed(cast);
    await disk.fail('');
    const recording = await settled(cast);
    assert.deepEqual([recording.status, recording.endReason], ['incomplete', 'storage-error']);
    await assertAllOpens(recording, disk.seenBy(cast.server));
  });
}

test('a disk that takes two seconds for each write delays the files, and nothing else', async () => {
  const disk = await Disk.faulty();
  const cast = await gather(disk);
  await disk.fail('slow 2');
  await assertUnharmed(cast, 8);
  assert.equal(cast.alice.peer.signaling.heardSoFar('call:recording'), undefined);
  await stopRecording(cast.people[0], cast.id);
  await untilTold(cast, 'stopped');
  await assertUnharmed(cast);
  await disk.fail('');
  const recording = await settled(cast);
  assert.deepEqual([recording.status, recording.endReason], ['ready', 'stopped']);
  for (const { holes } of recording.tracks) assert.deepEqual(holes, []);
  await assertAllOpens(recording, disk.seenBy(cast.server));
});

test('a folder that is removed ends the recording as failed, and the call does not notice', async () => {
  const disk = await Disk.faulty();
  const cast = await gather(disk);
  await rm(join(disk.seenBy(cast.server), cast.id), { recursive: true });
  await untilTold(cast, 'storage-error');
  await assertUnharmed(cast);
  const recording = await settled(cast);
  assert.deepEqual([recording.status, recording.endReason], ['failed', 'storage-error']);
  assert.deepEqual(await assertAgrees(recording, disk.seenBy(cast.server)), []);
});

test('a server without file descriptors left ends the recording at its next file', async () => {
  const disk = await Disk.faulty();
  const cast = await gather(disk);
  const { pid } = cast.server.process;
  const used = new Set(await readdir(`/proc/${pid}/fd`));
  const free = Array.from({ length: 4_096 }, (_, number) => number).find(
    (number) => !used.has(String(number)),
  );
  const { stdout } = await run('prlimit', [
    `--pid=${pid}`,
    '--nofile',
    '--output=SOFT',
    '--noheadings',
  ]);
  await run('prlimit', [`--pid=${pid}`, `--nofile=${free}:`]);
  await cast.bob.peer.produce('screen', cast.bob.camera.track);
  await untilTold(cast, 'storage-error');
  await assertUnharmed(cast);
  await run('prlimit', [`--pid=${pid}`, `--nofile=${stdout.trim()}:`]);
  const recording = await settled(cast);
  assert.deepEqual([recording.status, recording.endReason], ['incomplete', 'storage-error']);
  await assertAllOpens(recording, disk.seenBy(cast.server));
});

/** Where a server keeps its recordings. */
class Disk {
  /**
   * @param {string} folder
   * @param {string[]} launcher what shows the disk to the server, in its place
   */
  constructor(folder, launcher) {
    this.folder = folder;
    this.launcher = launcher;
  }

  /**
   * One of so many MiB, in memory.
   * @param {number} size
   */
  static async small(size) {
    const folder = await fresh();
    const mount = `mount -t tmpfs -o size=${size}m small-disk "$0" && exec "$@"`;
    return new Disk(folder, [...APART, 'sh', '-c', mount, folder]);
  }

  /** One that fails by order. */
  static async faulty() {
    const folder = await fresh();
    await mkdir(`${folder}.real`);
    await writeFile(`${folder}.fault`, '');
    const program = join(import.meta.dirname, '../support/faulty-disk.py');
    return new Disk(folder, [...APART, 'python3', program, folder, `${folder}.fault`]);
  }

  /** @param {string} fault as `faulty-disk.py` reads it */
  fail(fault) {
    return writeFile(`${this.folder}.fault`, fault);
  }

  /**
   * The folder as the server sees it.
   * @param {Server} server
   */
  seenBy(server) {
    return join(`/proc/${server.process.pid}/root`, this.folder);
  }
}

async function fresh() {
  const place = await mkdtemp(join(tmpdir(), 'switchyard-disk-'));
  use({ close: () => rm(place, { recursive: true, force: true }) });
  const folder = join(place, 'recordings');
  await mkdir(folder);
  return folder;
}

/**
 * Alice and Bob send to each other and are recorded, Carol has no media.
 * @param {Disk} disk
 * @param {Record<string, string>} [settings]
 */
async function gather({ folder, launcher }, settings) {
  const all = { RECORDING_DIR: folder, RECORDING_SYNC_SECONDS: '1', ...settings };
  const server = use(await startServer(all, engineOfThisRun(), launcher));
  const { people, call } = await startCallOf(server, ['Alice', 'Bob', 'Carol']);
  const alice = use(await Sender.join(people[0], call, { hue: 60, hertz: 500 }));
  const bob = use(await Sender.join(people[1], call, { hue: 180, hertz: 900 }));
  const carol = use(await Signaling.connect(people[2]));
  await carol.request('call:join', { callId: call.id });
  const { id } = await startRecording(people[0], call.id);
  await untilTracks(people[0], id, 4, 2_000);
  for (const socket of [alice.peer.signaling, bob.peer.signaling, carol]) {
    await socket.heard('call:recording', ({ recording }) => recording?.id === id);
  }
  await (await alice.peer.eyesOn(bob.peer)).see(bob.camera);
  await (await bob.peer.eyesOn(alice.peer)).see(alice.camera);
  return { server, people, call, alice, bob, carol, id };
}

/** @typedef {Awaited<ReturnType<typeof gather>>} Cast */

/**
 * Everybody in the call is told that it is not recorded any more, and why.
 * @param {Cast} cast
 * @param {string} why
 */
async function untilTold({ alice, bob, carol }, why) {
  for (const socket of [alice.peer.signaling, bob.peer.signaling, carol]) {
    const { reason } = await socket.heard('call:recording', ({ recording }) => recording === null);
    assert.equal(reason, why);
  }
}

/**
 * Alice and Bob have got every packet of each other since they joined, and go on to get them.
 * @param {Cast} cast
 * @param {number} [seconds] for how long
 */
async function assertUnharmed({ alice, bob }, seconds = 2) {
  const peers = [alice.peer, bob.peer];
  const before = await Promise.all(peers.map(received));
  await lasting('the call goes on', () => true, { seconds });
  const after = await Promise.all(peers.map(received));
  for (const [index, kinds] of after.entries()) {
    for (const [kind, { packetsLost, packetsReceived, timestamp }] of Object.entries(kinds)) {
      assert.equal(packetsLost, 0, `${kind} packets were lost`);
      const { packetsReceived: had, timestamp: since } = before[index][kind];
      const perSecond = (1_000 * (packetsReceived - had)) / (timestamp - since);
      const least = kind === 'audio' ? 45 : 12;
      assert(perSecond > least, `${perSecond} ${kind} packets a second`);
    }
  }
}

/**
 * What libwebrtc says of the packets that came in.
 * @param {import('../support/peer.mjs').Peer} peer
 * @returns {Promise<Record<string, { packetsLost: number, packetsReceived: number, timestamp: number }>>}
 */
async function received(peer) {
  return { audio: await peer.incoming('audio'), video: await peer.incoming('video') };
}

/** @param {Cast} cast */
function settled({ people, id }) {
  return untilFinished(people[0], id, ({ status }) => !RUNNING.has(status));
}

/**
 * @param {import('../support/recordings.mjs').Recording} recording
 * @param {string} folder
 */
async function assertAllOpens(recording, folder) {
  const paths = await assertAgrees(recording, folder);
  assert.equal(paths.length, 4, 'two microphones and two cameras');
  for (const path of paths) assert((await decode(path)).seconds > 1.5, path);
}

/**
 * Writes until there is no room.
 * @param {string} path
 */
async function fill(path) {
  const piece = Buffer.alloc(64 * 1024);
  const full = (/** @type {any} */ { code }) => code === 'ENOSPC';
  await assert.rejects(async () => {
    for (;;) await writeFile(path, piece, { flag: 'a' });
  }, full);
}

const APART = ['unshare', '--map-root-user', '--mount'];
