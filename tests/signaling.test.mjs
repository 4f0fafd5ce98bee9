// @ts-check
/** What unmodified socket.io-client sends and gets: order, answers, refusals. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { serverForThisFile } from './support/fixture.mjs';
import { signIn, startCallOf } from './support/people.mjs';
import { Signaling } from './support/signaling.mjs';
import { until } from './support/until.mjs';

const fixture = serverForThisFile();
const { use } = fixture;

test('the default client starts with polling and upgrades', async () => {
  const person = await signIn(fixture.server, 'Upgrading');
  const { socket } = use(await Signaling.connect(person));
  if (socket.io.engine.transport.name !== 'websocket') {
    await new Promise((resolve) => socket.io.engine.once('upgrade', resolve));
  }
  assert.equal(socket.io.engine.transport.name, 'websocket');
});

test('a recorded event has the next number, so that a client sees what it missed', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Counting', 'Counted']);
  const counting = use(await Signaling.connect(people[0]));
  const joined = await counting.request('call:join', { callId: call.id });
  for (let turn = 1; turn <= 3; turn += 1) {
    const guest = use(await Signaling.connect(people[1]));
    await guest.request('call:join', { callId: call.id });
    await guest.request('call:leave', { callId: call.id });
  }
  const numbers = [];
  for (let turn = 1; turn <= 3; turn += 1) {
    numbers.push((await counting.heard('participant-joined', isAbout(people[1]))).seq);
    numbers.push((await counting.heard('participant-left', isAbout(people[1]))).seq);
  }
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
  );
  const snapshot = await counting.request('call:sync', { callId: call.id });
  assert(joined.seq < numbers[0], 'what happened before the join is in its answer');
  assert(snapshot.seq >= numbers[5]);
  assert.equal(snapshot.participants.length, 1);
});

test('requests of one socket are answered in the order they were sent', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Orderly']);
  const socket = use(await Signaling.connect(people[0]));
  /** @type {number[]} */
  const answers = [];
  await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const name = index % 2 ? 'call:leave' : 'call:join';
      await socket.request(name, { callId: call.id }).catch(() => undefined);
      answers.push(index);
    }),
  );
  assert.deepEqual(
    answers,
    answers.toSorted((a, b) => a - b),
  );
});

test('whatever is asked is answered, with a code that says why not', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Asker', 'Other']);
  const outsider = await signIn(fixture.server, 'Outsider');
  const member = use(await Signaling.connect(people[0]));
  const stranger = use(await Signaling.connect(outsider));
  const callId = call.id;
  await member.request('call:join', { callId, media: { send: true } });
  const nothing = randomUUID();

  for (const [socket, name, payload, code] of /** @type {[Signaling, string, any, string][]} */ ([
    [member, 'call:dance', {}, 'unknown_event'],
    [member, 'media:', {}, 'unknown_event'],
    [member, 'call:join', {}, 'bad_request'],
    [member, 'call:join', 'just a text', 'bad_request'],
    [member, 'call:join', null, 'bad_request'],
    [member, 'call:join', undefined, 'bad_request'],
    [member, 'call:join', [[[]]], 'bad_request'],
    [member, 'call:join', { callId: 7 }, 'bad_request'],
    [member, 'call:join', { callId: 'not-a-uuid' }, 'bad_request'],
    [member, 'call:join', { callId, media: { send: 'yes' } }, 'bad_request'],
    [member, 'call:join', { callId, device: 'x'.repeat(10_000) }, 'bad_request'],
    [member, 'call:join', { callId: nothing }, 'not_found'],
    [member, 'call:leave', { callId: nothing }, 'not_in_call'],
    [member, 'call:signal', { callId, type: 'x'.repeat(33), payload: 1 }, 'bad_request'],
    [member, 'call:signal', { callId, type: 'x', payload: 'x'.repeat(70_000) }, 'too_large'],
    [member, 'call:signal', { callId, type: 'x', payload: 1, targetUserId: nothing }, 'not_found'],
    [member, 'media:connect-transport', { transportId: nothing }, 'bad_request'],
    [member, 'media:restart-ice', { transportId: nothing }, 'not_found'],
    [member, 'media:create-transport', { callId, direction: 'sideways' }, 'bad_request'],
    [member, 'media:create-transport', { callId, direction: 'send' }, 'limit_exceeded'],
    [member, 'media:pause-producer', { producerId: nothing }, 'not_found'],
    [member, 'media:resume-consumer', { consumerId: nothing }, 'not_found'],
    [stranger, 'call:join', { callId }, 'forbidden'],
    [stranger, 'call:end', { callId }, 'forbidden'],
    [stranger, 'call:leave', { callId }, 'not_in_call'],
    [stranger, 'call:signal', { callId, type: 'x', payload: 1 }, 'not_in_call'],
    [stranger, 'call:sync', { callId }, 'not_in_call'],
    [stranger, 'media:create-transport', { callId, direction: 'recv' }, 'not_in_call'],
  ])) {
    const asked = `${name} ${JSON.stringify(payload)?.slice(0, 60)}`;
    await assert.rejects(socket.request(name, payload), { code }, asked);
  }
  assert.equal((await people[0].call(callId)).status, 'waiting');
});

test('transports, producers and consumers of others cannot be touched', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Owner', 'Meddler']);
  const callId = call.id;
  const owner = use(await Signaling.connect(people[0]));
  const meddler = use(await Signaling.connect(people[1]));
  const { transports } = await owner.request('call:join', { callId, media: { send: true } });
  await meddler.request('call:join', { callId });
  const transportId = transports.send.id;
  for (const [name, payload] of /** @type {[string, object][]} */ ([
    ['media:restart-ice', { transportId }],
    ['media:close-transport', { transportId }],
    ['media:get-stats', { transportId }],
  ])) {
    await assert.rejects(meddler.request(name, payload), { code: 'not_found' }, name);
  }
  await owner.request('media:get-stats', { transportId });
});

test('a source that the type of call does not carry is refused', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Speaker'], 'audio');
  const socket = use(await Signaling.connect(people[0]));
  const joined = await socket.request('call:join', { callId: call.id, media: { send: true } });
  const request = {
    transportId: joined.transports.send.id,
    kind: 'video',
    rtpParameters: {
      codecs: [{ mimeType: 'video/VP8', payloadType: 96, clockRate: 90000 }],
      encodings: [{ ssrc: 1000 }],
    },
    appData: { source: 'camera' },
  };
  await assert.rejects(socket.request('media:produce', request), { code: 'unsupported' });
});

test('a socket without a good token is not let in, and is told why', async () => {
  const { url } = fixture.server;
  for (const [token, message] of /** @type {[string | undefined, string][]} */ ([
    [undefined, 'unauthorized: missing_token'],
    ['', 'unauthorized: invalid_token'],
    ['not.a.token', 'unauthorized: invalid_token'],
  ])) {
    const signaling = use(new Signaling(url, token));
    await assert.rejects(signaling.connected(), { message });
  }
});

/**
 * What stops a client from reading, and lets it read again.
 * @type {{ transport: 'websocket' | 'polling', stall: (transport: any) => () => void }[]}
 */
const STALLS = [
  {
    transport: 'websocket',
    stall: ({ ws }) => {
      ws._socket.pause();
      return () => ws._socket.resume();
    },
  },
  {
    transport: 'polling',
    stall: (polling) => {
      const poll = polling.doPoll.bind(polling);
      let wanted = false;
      polling.doPoll = () => {
        wanted = true;
      };
      return () => {
        polling.doPoll = poll;
        if (wanted) poll();
      };
    },
  },
];
for (const { transport, stall } of STALLS) {
  test(`a client whose ${transport} stalls in a busy call comes back by itself and goes on`, async () => {
    const names = ['Stalled', 'Busy', 'Busier', 'Busiest'];
    const { people, call } = await startCallOf(fixture.server, names);
    const options = { transports: [transport], reconnection: true, reconnectionDelay: 50 };
    const stalled = use(await Signaling.connect(people[0], options));
    const joined = await stalled.request('call:join', { callId: call.id });
    const talkers = [];
    for (const person of people.slice(1)) {
      const talker = use(await Signaling.connect(person, { transports: ['websocket'] }));
      await talker.request('call:join', { callId: call.id });
      talkers.push(talker);
    }
    /** @type {string[]} */
    const reasons = [];
    stalled.socket.on('disconnect', (reason) => reasons.push(reason));
    const goOn = stall(stalled.socket.io.engine.transport);
    const payload = 'x'.repeat(60_000);
    const signal = { callId: call.id, type: 'bulk', targetUserId: people[0].id, payload };
    await Promise.all(
      talkers.map(async (talker) => {
        // Until the server has let the stalled client go. What the network holds comes first.
        for (let turn = 0; turn < 200; turn += 1) {
          const code = await talker.request('call:signal', signal).then(
            () => '',
            (error) => error.code,
          );
          if (code === 'not_found') return;
          if (code === 'rate_limited') await new Promise((resolve) => setTimeout(resolve, 100));
        }
        assert.fail('the stalled client was not let go');
      }),
    );
    goOn();
    await until(
      () => `the client is back after ${reasons}`,
      () => reasons.length > 0 && stalled.socket.connected,
    );
    assert(!reasons.includes('io server disconnect'), `${reasons}`);
    const request = { callId: call.id, resumeToken: joined.resumeToken };
    const back = await stalled.request('call:join', request);
    assert.deepEqual([back.legId, back.resumed], [joined.legId, true]);
  });
}

test('socket ids never reach other people', async () => {
  const { people, call } = await startCallOf(fixture.server, ['Seen', 'Seeing']);
  const seen = use(await Signaling.connect(people[0]));
  const seeing = use(await Signaling.connect(people[1]));
  const callId = call.id;
  const answers = [
    await seen.request('call:join', { callId }),
    await seeing.request('call:join', { callId }),
  ];
  await seen.request('call:signal', { callId, type: 'hello', payload: {} });
  await seeing.heard('call:signal');
  const everything = JSON.stringify([answers, seeing.events, seen.events]);
  for (const { socket } of [seen, seeing]) {
    for (const id of [socket.id, socket.io.engine.id]) assert(id && !everything.includes(id));
  }
});

/** @param {{ id: string }} person */
function isAbout({ id }) {
  return (/** @type {any} */ { userId }) => userId === id;
}
