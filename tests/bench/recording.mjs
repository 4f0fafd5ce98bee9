// @ts-check
/**
 * Measures what recording costs a call, and how soon it begins. Prints, asserts nothing. `PAIRS` sets how many pairs of
 * meetings, one of each pair recorded, `STARTS` how many recordings are started.
 */
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { LossyPath } from '../support/lossy-path.mjs';
import { startCallOf } from '../support/people.mjs';
import { startRecording, stopRecording, untilFinished, untilTracks } from '../support/recordings.mjs';
import { Sender } from '../support/senders.mjs';
import { startServer } from '../support/server.mjs';

const binary = process.env.SWITCHYARD_BIN;
if (!binary) throw new Error('SWITCHYARD_BIN names the server; `make bench-recording` sets it');
const PAIRS = Number(process.env.PAIRS ?? 7);
const STARTS = Number(process.env.STARTS ?? 10);
const SETTINGS = { RATE_LIMIT_PER_USER: '0', RUST_LOG: 'warn', RECORDING_MIN_FREE: '0' };

await measureStarts();
await measureForwarding();
process.exit();

/** From the request to the capture of what is first in the files, 25 ms away from the server. */
async function measureStarts() {
  const server = await startServer(SETTINGS);
  const path = await LossyPath.open({ delayMs: 25 });
  const { people, call } = await startCallOf(server, ['Alice']);
  const sender = await Sender.join(people[0], call, { through: (it) => path.through(it) });
  /** @type {Record<string, number[]>} */
  const delays = { mic: [], camera: [] };
  for (let count = 0; count < STARTS; count += 1) {
    const asked = Date.now();
    const { id } = await startRecording(people[0], call.id);
    await untilTracks(people[0], id, 2, 500);
    await stopRecording(people[0], id);
    const { tracks, startedAt } = await untilFinished(people[0], id);
    for (const { source, startMs } of tracks) {
      delays[source].push(Date.parse(startedAt) + startMs - asked);
    }
  }
  for (const [source, all] of Object.entries(delays)) {
    console.log(`start to first sample of ${source}, 50 ms round trip, in ms: ${spread(all)}`);
  }
  sender.close();
  path.close();
  await server.close();
}

/** Meetings of twelve, in turns recorded and not: a fresh server for each. */
async function measureForwarding() {
  /** @type {Record<string, number[]>} */
  const differences = { all: [], workers: [], recorder: [], p99: [] };
  for (let pair = 0; pair < PAIRS; pair += 1) {
    // Which of the two comes first changes, in case the machine does.
    const order = pair % 2 ? [false, true] : [true, false];
    /** @type {Map<boolean, Awaited<ReturnType<typeof meet>>>} */
    const found = new Map();
    for (const recorded of order) found.set(recorded, await meet(recorded));
    const [bare, recorded] = [found.get(false), found.get(true)];
    if (!bare || !recorded) continue;
    differences.all.push(recorded.all / bare.all);
    differences.workers.push(recorded.workers / bare.workers);
    differences.recorder.push(recorded.recorder / recorded.workers);
    differences.p99.push(recorded.p99 - bare.p99);
  }
  console.log('recorded beside not recorded, of each pair:');
  for (const [what, values, digits] of /** @type {const} */ ([
    ['times the CPU per forwarded packet, all threads', differences.all, 3],
    ['the same without the threads of the recorder', differences.workers, 3],
    ['CPU of the recorder by that of the other threads', differences.recorder, 3],
    ['p99 latency in ms more', differences.p99, 2],
  ])) {
    console.log(`  ${what}: ${spread(values, digits)}`);
  }
}

/** @param {boolean} recorded */
async function meet(recorded) {
  const server = await startServer(SETTINGS);
  const program = join(dirname(String(binary)), 'switchyard-load-test');
  const who = ['--url', server.url, '--server-pid', String(server.process.pid)];
  const what = ['--scenario', 'meeting', '--peers', '12', '--seconds', '15', '--json'];
  const { stdout } = await promisify(execFile)(
    program,
    [...who, ...what, ...(recorded ? ['--record'] : [])],
    { maxBuffer: 1 << 26 },
  );
  await server.close();
  const { media, server: used, recording } = JSON.parse(stdout);
  const busy = (/** @type {(name: string) => boolean} */ isSo) =>
    used.threads
      .filter((/** @type {{ name: string }} */ { name }) => isSo(name))
      .reduce((/** @type {number} */ sum, /** @type {{ busy: number }} */ it) => sum + it.busy, 0);
  const perPacket = (/** @type {number} */ cores) => (1e6 * cores) / media.received_per_second;
  const isRecorder = (/** @type {string} */ name) => name.startsWith('recorder');
  const result = {
    all: perPacket(busy(() => true)),
    workers: perPacket(busy((name) => !isRecorder(name))),
    recorder: perPacket(busy(isRecorder)),
    p99: media.latency_ms.p99,
  };
  const megabits = recording && (8 * recording.bytes) / recording.seconds / 1e6;
  console.log(
    `${recorded ? 'recorded    ' : 'not recorded'}: ${result.all.toFixed(2)} µs per forwarded packet` +
      ` (recorder ${result.recorder.toFixed(2)}), ${Math.round(media.received_per_second)} packets/s,` +
      ` ${(100 * media.delivered).toFixed(3)} % delivered, p99 ${result.p99.toFixed(2)} ms` +
      (recording
        ? `; ${recording.status}, ${recording.tracks} tracks of ${megabits.toFixed(2)} Mbit/s each,` +
          ` ${recording.holes} holes, recorder ${busy(isRecorder).toFixed(4)} cores`
        : ''),
  );
  return result;
}

/**
 * @param {number[]} values
 * @param {number} [digits]
 */
function spread(values, digits = 0) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)];
  const [least, most] = [sorted[0], sorted.at(-1) ?? Number.NaN];
  const told = [middle, least, most].map((value) => value.toFixed(digits));
  return `median ${told[0]}, ${told[1]} to ${told[2]}, of ${sorted.length}`;
}
