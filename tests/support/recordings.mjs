// @ts-check
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from './until.mjs';

const run = promisify(execFile);

/**
 * @typedef {import('./people.mjs').Person} Person
 *
 * @typedef {object} RecordingTrack
 * @property {string} id
 * @property {string} userId
 * @property {string} source
 * @property {string | null} codec
 * @property {number} startMs
 * @property {number} durationMs
 * @property {number | null} width
 * @property {number | null} height
 * @property {string | null} note
 * @property {{ fromMs: number, toMs: number }[]} spans
 * @property {{ fromMs: number, toMs: number }[]} holes
 * @property {RecordingFile[]} files
 *
 * @typedef {object} RecordingFile
 * @property {string} id
 * @property {string} contentType
 * @property {number} part
 * @property {number} startMs
 * @property {number} bytes
 * @property {string} sha256
 *
 * @typedef {object} Recording
 * @property {string} id
 * @property {string} status
 * @property {string | null} endReason
 * @property {string} startedAt
 * @property {RecordingTrack[]} tracks
 */

/**
 * @param {Person} person
 * @param {string} callId
 * @param {object} [wishes]
 * @returns {Promise<Recording>}
 */
export function startRecording(person, callId, wishes = {}) {
  return person.ask('POST', `/calls/${callId}/recordings`, wishes);
}

/**
 * @param {Person} person
 * @param {string} id
 */
export function stopRecording(person, id) {
  return person.ask('PATCH', `/recordings/${id}/stop`);
}

/**
 * @param {Person} person
 * @param {string} id
 * @returns {Promise<Recording>}
 */
export function readRecording(person, id) {
  return person.ask('GET', `/recordings/${id}`);
}

/**
 * @param {Person} person
 * @param {string} id
 * @param {(recording: Recording) => boolean} [isSo]
 */
export async function untilFinished(person, id, isSo = ({ status }) => status === 'ready') {
  /** @type {Recording | undefined} */
  let last;
  await until(
    () => `the recording is finished: ${JSON.stringify(last)}`,
    async () => {
      last = await readRecording(person, id);
      return isSo(last);
    },
    { seconds: 30 },
  );
  return /** @type {Recording} */ (last);
}

/**
 * Records a call of two until so much of everything is there, and stops. Returns the recording's id.
 * @param {Person} person
 * @param {string} callId
 * @param {number} milliseconds
 */
export async function recordFor(person, callId, milliseconds) {
  const { id } = await startRecording(person, callId);
  await untilTracks(person, id, 4, milliseconds);
  await stopRecording(person, id);
  return id;
}

/**
 * Waits until so many tracks have at least so many milliseconds.
 * @param {Person} person
 * @param {string} id
 * @param {number} count
 * @param {number} milliseconds
 */
export function untilTracks(person, id, count, milliseconds) {
  return until(
    `${count} tracks of ${milliseconds} ms are recorded`,
    async () => {
      const { tracks } = await readRecording(person, id);
      const long = tracks.filter(({ durationMs }) => durationMs >= milliseconds);
      return long.length >= count;
    },
    { seconds: 45 },
  );
}

/**
 * Fails unless the folder of a recording has the files of its rows, as they say, and no others. Returns where they are.
 * @param {Recording} recording
 * @param {string} folder of all recordings
 * @returns {Promise<string[]>}
 */
export async function assertAgrees(recording, folder) {
  const rows = recording.tracks.flatMap((track) =>
    track.files.map((file) => ({
      name: nameOf(track, file),
      bytes: file.bytes,
      sha256: file.sha256,
    })),
  );
  const own = join(folder, recording.id);
  const files = [];
  for (const name of await mediaIn(own)) {
    const bytes = await readFile(join(own, name));
    files.push({ name, bytes: bytes.length, sha256: hash(bytes) });
  }
  const byName = (/** @type {{ name: string }} */ a, /** @type {{ name: string }} */ b) =>
    a.name < b.name ? -1 : 1;
  assert.deepEqual(files.sort(byName), rows.sort(byName), `rows and files of ${recording.id}`);
  return files.map(({ name }) => join(own, name));
}

/**
 * The names of the media files in the folder of a recording; none if there is no such folder.
 * @param {string} folder
 */
export async function mediaIn(folder) {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => /\.(webm|mkv|mka)$/.test(name));
}

/**
 * @param {{ id: string }} track
 * @param {RecordingFile} file
 */
function nameOf({ id }, { part, contentType }) {
  const container = contentType.split('/')[1];
  const extension = { webm: 'webm', 'x-matroska': contentType.startsWith('video') ? 'mkv' : 'mka' };
  return `${id}-${part}.${Reflect.get(extension, container)}`;
}

/** @param {Buffer} bytes */
function hash(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The states of a recording whose files are not finished. */
export const RUNNING = new Set(['recording', 'paused', 'finishing']);

/** A folder for downloads, and what programs of others say of them. */
export class Downloads {
  /** @param {string} folder */
  constructor(folder) {
    this.folder = folder;
  }

  static async make() {
    return new Downloads(await mkdtemp(join(tmpdir(), 'switchyard-recording-')));
  }

  /**
   * Downloads a file by a link, and fails unless it is what the record says.
   * @param {Person} person
   * @param {Recording} recording
   * @param {RecordingFile} file
   */
  async fetch(person, recording, file) {
    const link = await person.ask('POST', `/recordings/${recording.id}/links`, { fileId: file.id });
    const response = await fetch(new URL(link.url, person.url));
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), file.contentType);
    const bytes = Buffer.from(await response.arrayBuffer());
    assert.equal(bytes.length, file.bytes);
    assert.equal(hash(bytes), file.sha256);
    const path = join(
      this.folder,
      `${file.id}.${file.contentType.endsWith('webm') ? 'webm' : 'mkv'}`,
    );
    await writeFile(path, bytes);
    return path;
  }

  close() {
    return rm(this.folder, { recursive: true });
  }
}

/**
 * Decodes a whole file with ffmpeg, and reads its outline with mkvinfo. Fails if either complains.
 * @param {string} path
 */
export async function decode(path) {
  // Each picture keeps its own time: there is no frame rate to round it to.
  const asTimed = ['-fps_mode', 'passthrough', '-enc_time_base', '1:1000'];
  const decoded = await run('ffmpeg', ['-v', 'error', '-i', path, ...asTimed, '-f', 'null', '-']);
  assert.equal(decoded.stderr, '', `ffmpeg complains of ${path}`);
  const outline = await run('mkvinfo', ['--continue', path], { maxBuffer: 1 << 28 });
  assert.doesNotMatch(outline.stdout, /error|invalid|unknown element/i, `mkvinfo on ${path}`);
  const probed = await run('ffprobe', [
    ...['-v', 'error', '-count_packets', '-count_frames', '-show_format', '-show_streams'],
    ...['-of', 'json', path],
  ]);
  assert.equal(probed.stderr, '');
  const { streams, format } = JSON.parse(probed.stdout);
  assert.equal(streams.length, 1);
  const [{ codec_name, width, height, nb_read_packets, nb_read_frames }] = streams;
  return {
    codec: codec_name,
    width,
    height,
    packets: Number(nb_read_packets),
    /** What a player shows. */
    frames: Number(nb_read_frames),
    seconds: Number(format.duration),
  };
}

/**
 * The times in s of all packets of a file.
 * @param {string} path
 */
export async function packetTimes(path) {
  const listed = await run(
    'ffprobe',
    ['-v', 'error', '-show_entries', 'packet=pts_time', '-of', 'csv=p=0', path],
    { maxBuffer: 1 << 26 },
  );
  return listed.stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => Number.parseFloat(line));
}
