// @ts-check
/** The load test against a real server: what it sends comes through, and its report says so. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { serverForThisFile } from './support/fixture.mjs';
import { startServer } from './support/server.mjs';

const fixture = serverForThisFile({ RATE_LIMIT_PER_USER: '0', MEDIA_ADAPTATION: 'false' });
const { use } = fixture;
const server =
  process.env.SWITCHYARD_BIN ?? resolve(import.meta.dirname, '../target/debug/switchyard');

test('a webinar is delivered whole, and its report is one page', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'switchyard-load-'));
  const page = join(folder, 'report.html');
  const report = await measure('--peers', '5', '--html', page);
  assert.deepEqual(
    [report.peers.publishing, report.peers.receiving, report.peers.failed],
    [1, 5, 0],
  );
  assert.ok(report.media.delivered > 0.995, `${report.media.delivered} delivered`);
  assert.ok(report.media.latency_ms.p50 > 0 && report.server.cores > 0);
  assert.equal(report.media.counts.rejected, 0);
  const { estimate_mbps, withheld_seconds, video_seconds } = report.adaptation;
  assert.deepEqual([estimate_mbps, withheld_seconds], [null, 0]);
  assert.ok(video_seconds > 5 * 2, `${video_seconds} s of video`);
  assert.match(await readFile(page, 'utf8'), /^<!doctype html>[\s\S]*<svg/);
  await rm(folder, { recursive: true });
});

test('members of a meeting hear all and watch no more than they may', async () => {
  const report = await measure(
    '--scenario',
    'meeting',
    '--peers',
    '4',
    '--watch',
    '1',
    '--codec',
    'h264',
  );
  assert.ok(report.media.delivered > 0.995, `${report.media.delivered} delivered`);
  // Three voices at 50 packets a second and one video for each.
  const video = report.media.received_per_second - 4 * 3 * 50;
  assert.ok(video > 4 * 100 && video < 4 * 300, `${video} packets of video a second`);
});

test('what an uplink loses is sent again and repaired for those who receive', async () => {
  const report = await measure(
    '--scenario',
    'lossy-uplink',
    '--peers',
    '3',
    '--loss',
    '0.05',
    '--codec',
    'vp9',
  );
  const { dropped, retransmitted } = report.media.counts;
  assert.ok(dropped > 0 && retransmitted > 0, `${dropped} lost, ${retransmitted} sent again`);
  assert.ok(report.media.delivered_video > 0.99, `${report.media.delivered_video} of the video`);
});

test('peers come and go, spread over processes', async () => {
  const report = await measure(
    '--scenario',
    'churn',
    '--peers',
    '6',
    '--churn-rate',
    '2/s',
    '--processes',
    '2',
  );
  assert.equal(report.peers.failed, 0);
  assert.ok(report.peers.joined > 7, `${report.peers.joined} joined`);
  assert.ok(report.media.delivered > 0.995, `${report.media.delivered} delivered`);
});

test('receivers give the feedback that adaptation needs, and report what it makes of it', async () => {
  const adapting = use(await startServer({ RATE_LIMIT_PER_USER: '0', MEDIA_ADAPTATION: 'true' }));
  const calm = ['--peers', '3', '--video-bitrate', '120000', '--packet-size', '400'];
  const { adaptation } = await measureAt(adapting.url, ...calm);
  for (const name of ['estimate_mbps', 'used_mbps', 'wanted_mbps']) {
    const { min, p50, max } = adaptation[name];
    assert.ok(min > 0.03 && min <= p50 && p50 <= max && max < 10, `${name}: ${min} ${p50} ${max}`);
  }
  // Without feedback, it would fall below the start rate within a second.
  assert.ok(adaptation.estimate_mbps.p50 >= 0.3, `${adaptation.estimate_mbps.p50} Mbit/s`);
  const shares = /** @type {number[]} */ (Object.values(adaptation.layers));
  assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-6, `${shares}`);
});

/** @param {string[]} options */
function measure(...options) {
  return measureAt(fixture.server.url, ...options);
}

/**
 * @param {string} url
 * @param {string[]} options
 */
async function measureAt(url, ...options) {
  const program = join(dirname(server), 'switchyard-load-test');
  const all = ['--url', url, '--seconds', '2', '--json', ...options];
  const { stdout } = await promisify(execFile)(program, all, { maxBuffer: 1 << 26 });
  return JSON.parse(stdout);
}
