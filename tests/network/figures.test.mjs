// @ts-check
/** What is made of a recording, with recordings that are made up. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faultOf, figuresOf } from './figures.mjs';
import { complaintsOf } from './table.mjs';

test('figures are what the counters have grown by between the first look and the last', () => {
  const figures = figuresOf(recording());
  assert.equal(figures.framesPerSecond, 12);
  assert.equal(figures.poorSeconds, 0.5);
  assert.deepEqual(figures.heights, { 360: 0.5, 0: 0.5 });
  assert.equal(figures.concealed, 0.1);
  assert.equal(figures.concealedAll, 0.2);
  assert.equal(figures.kbitPerSecond, 8);
  assert.equal(figures.linkKbitPerSecond, 16);
  assert.equal(figures.frozenSeconds, 1.5);
  assert.equal(faultOf(figures), undefined);
});

test('a run is void if an encoder lacked CPU or the link was late', () => {
  assert.match(faultOf(figuresOf(recording({ limited: 'cpu' }))) ?? '', /CPU/);
  assert.match(faultOf(figuresOf(recording({ late: 5.1 }))) ?? '', /5\.1 ms late/);
  assert.equal(faultOf(figuresOf(recording({ limited: 'bandwidth', late: 4.9 }))), undefined);
});

test('lost sound, a clean call without pictures, and void runs are complained of with adaptation', () => {
  const result = {
    scenario: 'clean',
    adaptation: true,
    figures: figuresOf(recording()),
    fault: undefined,
  };
  assert.equal(complaintsOf([result]).length, 1);
  assert.equal(complaintsOf([{ ...result, adaptation: false }]).length, 0);
  assert.equal(complaintsOf([{ ...result, scenario: '1 Mbit/s' }]).length, 0);
  const silent = { ...result.figures, concealed: 0.11 };
  assert.equal(complaintsOf([{ ...result, scenario: '1 Mbit/s', figures: silent }]).length, 1);
  assert.equal(complaintsOf([{ ...result, scenario: '1 Mbit/s', fault: 'late' }]).length, 1);
});

/**
 * Two seconds: one with 24 frames, and one with none.
 * @param {{ limited?: string, late?: number }} [how]
 * @returns {import('./call.mjs').Recording}
 */
function recording({ limited = 'none', late = 0 } = {}) {
  const sent = [[{ kind: 'video', qualityLimitationReason: limited }]];
  const moment = (
    /** @type {number} */ at,
    /** @type {number} */ frames,
    /** @type {number} */ part,
  ) => ({
    at,
    sent,
    received: [
      {
        ...{ id: 'v', type: 'inbound-rtp', kind: 'video', framesDecoded: 100 + frames },
        ...{ frameHeight: 360, bytesReceived: 900 * part, headerBytesReceived: 100 * part },
        ...{ freezeCount: part, totalFreezesDuration: 1.5 * (part / 2) },
      },
      {
        ...{ id: 'a', type: 'inbound-rtp', kind: 'audio', totalSamplesReceived: 1000 * part },
        ...{ concealedSamples: 200 * part, silentConcealedSamples: 100 * part },
      },
    ],
  });
  const spread = { p50: late, p95: late, p99: late, max: late };
  const sum = { packets: 2, bytes: 2000 };
  const direction = {
    sent: sum,
    arrived: sum,
    dropped: { queue: 0, lost: 0 },
    lateMs: spread,
    queueMs: spread,
  };
  const link = { down: direction, up: direction };
  return {
    moments: [moment(0, 0, 0), moment(1000, 24, 1), moment(2000, 24, 2)],
    seconds: [link, link],
    link,
  };
}
