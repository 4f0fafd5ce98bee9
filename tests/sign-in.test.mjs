// @ts-check
/** Tokens of the app that embeds Switchyard, signed with a secret that both know. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { serverForThisFile } from './support/fixture.mjs';
import { Person } from './support/people.mjs';
import { Signaling } from './support/signaling.mjs';
import { inSeconds, sign as signWith } from './support/tokens.mjs';
import { until } from './support/until.mjs';

const SECRET = 'a secret that only the app and the server know';
const fixture = serverForThisFile({ JWT_SECRET: SECRET });
const { use } = fixture;

test('the app’s token is as good for REST as for sockets', async () => {
  const id = randomUUID();
  const person = bearer(sign({ sub: id, name: 'Ada', exp: inSeconds(60) }));
  const me = await person.ask('GET', '/users/me');
  assert.equal(me.id, id);
  assert.equal(me.name, 'Ada');
  const signaling = use(await Signaling.connect(person));
  assert.deepEqual(await signaling.heard('active-calls'), []);
});

for (const [what, token, message] of /** @type {[string, () => string, string][]} */ ([
  ['an expired', () => sign({ sub: 'a', exp: inSeconds(-120) }), 'unauthorized: token_expired'],
  ['a never expiring', () => sign({ sub: 'a' }), 'unauthorized: invalid_token'],
  [
    'a forged',
    () => sign({ sub: 'a', exp: inSeconds(60) }, { secret: 'a guess' }),
    'unauthorized: invalid_token',
  ],
  [
    'an unsigned',
    () => sign({ sub: 'a', exp: inSeconds(60) }, { alg: 'none' }),
    'unauthorized: invalid_token',
  ],
  ['a nameless', () => sign({ exp: inSeconds(60) }), 'unauthorized: invalid_token'],
])) {
  test(`${what} token opens nothing`, async () => {
    const person = bearer(token());
    await assert.rejects(person.ask('GET', '/users/me'), { code: 'unauthorized', status: 401 });
    await assert.rejects(use(new Signaling(person.url, person.token)).connected(), { message });
  });
}

test('a token that runs out while its socket is open is noticed', async () => {
  const person = bearer(sign({ sub: 'short', exp: inSeconds(3) }));
  const { id: groupId } = await person.ask('POST', '/groups', { name: 'Brief' });
  const call = await person.startCall(groupId);
  const signaling = use(await Signaling.connect(person));
  await signaling.request('call:join', { callId: call.id });
  await until('the token has run out', async () => {
    const refused = await signaling
      .request('call:sync', { callId: call.id })
      .catch((error) => error);
    return refused.code === 'unauthorized';
  });
});

test('nobody signs in by name where the app says who is who', async () => {
  const response = await fetch(`${fixture.server.url}/auth/dev-token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: 'Ada' }),
  });
  assert(response.status === 404 || response.status === 403, `${response.status}`);
});

/** @param {string} token */
function bearer(token) {
  return new Person({ url: fixture.server.url, token, id: '', name: '' });
}

/**
 * @param {object} claims
 * @param {{ secret?: string, alg?: 'HS256' | 'none' }} [how]
 */
function sign(claims, { secret = SECRET, alg } = {}) {
  return signWith(claims, { secret, alg });
}
