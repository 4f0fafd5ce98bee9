// @ts-check
/** What operators scrape, from a listener of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverForThisFile } from './support/fixture.mjs';
import { Peer } from './support/peer.mjs';
import { startCallOf } from './support/people.mjs';
import { freePort } from './support/server.mjs';
import { until } from './support/until.mjs';
import { Microphone } from './support/wrtc.mjs';

const port = await freePort();
const fixture = serverForThisFile({
  ADMIN_PORT: String(port),
  MEDIA_WORKERS: '2',
  MEDIA_ADAPTATION: 'true',
});
const { use } = fixture;

test('load, population and counters of every worker move while a call runs', async () => {
  const idle = await scrape();
  assert.deepEqual(of(idle, 'switchyard_media_transports').samples, { 0: 0, 1: 0 });
  const { people, call } = await startCallOf(fixture.server, ['Ada', 'Ben']);
  const ada = use(await Peer.join(people[0], call));
  use(await Peer.join(people[1], call));
  await ada.produce('mic', use(new Microphone()).track);

  await until('packets are forwarded', async () => {
    const { samples } = of(await scrape(), 'switchyard_media_packets_sent_total');
    return sum(samples) > 50;
  });
  const running = await scrape();
  for (const name of [
    'switchyard_media_packets_received_total',
    'switchyard_worker_datagrams_sent_total',
    'switchyard_media_transports',
    'switchyard_media_consumers',
  ]) {
    const [before, now] = [of(idle, name), of(running, name)];
    assert.equal(now.kind, name.endsWith('_total') ? 'counter' : 'gauge', name);
    assert.deepEqual(Object.keys(now.samples), ['0', '1'], name);
    assert.ok(sum(now.samples) > sum(before.samples), `${name} stays as it was`);
  }
  for (const name of ['switchyard_worker_busy_ratio', 'switchyard_worker_queue_depth']) {
    const { kind, samples } = of(running, name);
    assert.equal(kind, 'gauge', name);
    assert.ok(sum(samples) > 0, `${name} is nothing in a running call`);
  }
  assert.equal(sum(of(running, 'switchyard_worker_relay_audio_dropped_total').samples), 0);
  assert.deepEqual(of(running, 'switchyard_calls').samples, { '': 1 });
  assert.deepEqual(of(running, 'switchyard_sockets').samples, { '': 2 });
});

test('what the paths to clients carry is told all together, and to each client of its own', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Ida', 'Jon']);
  const ida = use(await Peer.join(people[0], call));
  const jon = use(await Peer.join(people[1], call));
  await ida.produce('mic', use(new Microphone()).track);
  await jon.receives(ida, 'mic');
  const request = { transportId: jon.recvTransport?.id };
  const path = await until('the path to Jon was measured', async () => {
    const { stats } = await jon.signaling.request('media:get-stats', request);
    return stats.path?.acknowledged && stats.path.used > 0 && stats.path;
  });
  assert.ok(path.estimate >= 300_000 && path.wanted >= path.used, JSON.stringify(path));
  assert.ok(['hold', 'increase', 'decrease'].includes(path.state), path.state);
  assert.deepEqual([path.limitedBy, path.packetsLost], ['delay', 0]);

  const metrics = await scrape();
  for (const name of ['estimate', 'used', 'wanted'].map((name) => `${name}_bits_per_second`)) {
    const paths = sum(of(metrics, `switchyard_media_path_${name}_count`).samples);
    assert.ok(paths >= 1, `${paths} paths with ${name}`);
    assert.ok(sum(of(metrics, `switchyard_media_path_${name}_sum`).samples) > 0, name);
  }
  const { kind, samples } = of(metrics, 'switchyard_media_path_rtt_seconds_bucket');
  const [all, slow] = ['+Inf', '0.1'].map((limit) => samples[`0 ${limit}`] + samples[`1 ${limit}`]);
  assert.ok(kind === 'gauge' && all >= 1 && slow >= 1, `${kind}: ${slow} of ${all} below 100 ms`);
  for (const name of ['packets_lost', 'probes_begun', 'feedback_unknown', 'probe_bytes_sent']) {
    assert.equal(of(metrics, `switchyard_media_${name}_total`).kind, 'counter');
  }
  assert.equal(sum(of(metrics, 'switchyard_media_consumers_withheld').samples), 0);
});

test('an operator follows what is decided about one transport, for as long as asked', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Kay', 'Lea']);
  const kay = use(await Peer.join(people[0], call));
  const lea = use(await Peer.join(people[1], call));
  await kay.produce('mic', use(new Microphone()).track);
  await lea.receives(kay, 'mic');
  const transport = lea.recvTransport?.id ?? '';
  const running = await trace(transport, '?seconds=3');
  assert.equal(running.headers.get('content-type'), 'application/x-ndjson');
  assert.equal((await trace(transport)).status, 409, 'a second one at the same time');

  const lines = (await running.text()).trimEnd().split('\n');
  const events = lines.map((line) => JSON.parse(line));
  const [first, last] = [events[0], events[events.length - 1]];
  assert.deepEqual([first.event, first.transport, first.seconds], ['begun', transport, 3]);
  assert.ok(Math.abs(Date.parse(first.at) - Date.now()) < 20_000, first.at);
  assert.deepEqual(last, { event: 'ended', why: 'the time is up', dropped: 0 });
  const heard = events.filter(({ event }) => event === 'feedback');
  assert.ok(heard.length >= 5, `${heard.length} reports in 3 seconds`);
  assert.ok(
    heard.every(({ rttMs, queueMs, atMs }) => rttMs < 1_000 && queueMs < 1_000 && atMs < 4_000),
  );

  for (const [id, query, status] of /** @type {[string, string, number][]} */ ([
    ['00000000-0000-4000-8000-000000000000', '', 404],
    ['none', '', 400],
    [transport, '?seconds=601', 400],
    [transport, '?seconds=0', 400],
    [kay.sendTransport?.id ?? '', '', 409],
  ])) {
    assert.equal((await trace(id, query)).status, status, `${id}${query}`);
  }
});

test('an operator who hangs up may ask again', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Moe', 'Nan']);
  use(await Peer.join(people[0], call));
  const nan = use(await Peer.join(people[1], call));
  const transport = nan.recvTransport?.id ?? '';
  const hangUp = new AbortController();
  const first = await trace(transport, '', hangUp.signal);
  assert.equal(first.status, 200);
  hangUp.abort();
  await until('the trace has ended', async () => {
    const again = await trace(transport, '?seconds=1');
    await again.text();
    return again.status === 200;
  });
});

test('who can reach the server’s own port gets no metrics and no trace', async () => {
  for (const path of ['metrics', 'transports/00000000-0000-4000-8000-000000000000/trace']) {
    const answer = await fetch(`${fixture.server.url}/${path}`);
    assert.doesNotMatch(await answer.text(), /switchyard_|no such transport/);
  }
});

/**
 * @param {string} transport
 * @param {string} [query]
 * @param {AbortSignal} [signal]
 */
function trace(transport, query = '', signal) {
  return fetch(`http://127.0.0.1:${port}/transports/${transport}/trace${query}`, { signal });
}

/**
 * @typedef {{ kind: string, samples: Record<string, number> }} Metric samples by worker, and limit if there is one
 * @returns {Promise<Map<string, Metric>>}
 */
async function scrape() {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const lines = (await answer.text()).split('\n');
  assert.equal(lines.pop(), '', 'the last line has no end');
  /** @type {Map<string, Metric>} */
  const metrics = new Map();
  for (const line of lines) {
    const type = /^# TYPE (\w+) (counter|gauge)$/.exec(line);
    if (type) {
      assert.ok(!metrics.has(type[1]), `${type[1]} comes twice`);
      metrics.set(type[1], { kind: type[2], samples: {} });
      continue;
    }
    const labels = '\\{worker="(\\d+)"(?:,le="([\\d.]+|\\+Inf)")?\\}';
    const sample = new RegExp(`^(\\w+)(?:${labels})? (\\d+(?:\\.\\d+)?(?:e-?\\d+)?)$`).exec(line);
    assert.ok(sample, `no sample: ${line}`);
    const [, name, worker = '', limit, value] = sample;
    assert.equal([...metrics.keys()].at(-1), name, `${name} stands under another metric's type`);
    of(metrics, name).samples[limit ? `${worker} ${limit}` : worker] = Number(value);
  }
  return metrics;
}

/**
 * @param {Map<string, Metric>} metrics
 * @param {string} name
 */
function of(metrics, name) {
  const metric = metrics.get(name);
  assert.ok(metric, `there is no ${name}`);
  return metric;
}

/** @param {Record<string, number>} samples */
function sum(samples) {
  return Object.values(samples).reduce((total, value) => total + value, 0);
}
