// @ts-check
/**
 * The server dies at random moments, under load. Whatever it had acknowledged is there when it is back, and nobody is
 * left hanging. `KILLS` sets how often on each engine, `SEED` repeats a run.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Crowd } from './support/crowd.mjs';
import { ENGINES } from './support/databases.mjs';
import { Ledger, told } from './support/ledger.mjs';
import { Refused } from './support/people.mjs';
import { Random } from './support/random.mjs';
import { startServer } from './support/server.mjs';
import { until } from './support/until.mjs';

/** @typedef {import('./support/crowd.mjs').CrowdMember} CrowdMember */
/** @typedef {import('./support/crowd.mjs').Place} Place */
/** @typedef {{ member: CrowdMember, place: Place }} Seated somebody whose device was in a call at the crash */

const KILLS = Number(process.env.KILLS ?? 3);
const SEED = Number(process.env.SEED ?? randomInt(2 ** 31));

for (const engine of ENGINES) {
  test(`${KILLS} kills under load lose nothing that was acknowledged on ${engine}`, async (story) => {
    const random = new Random(SEED);
    const ledger = new Ledger();
    let server = await startServer(SETTINGS, engine);
    const crowd = await Crowd.gather(server, NAMES, ledger, random);
    const count = { kills: 0, returned: 0, stayedAway: 0 };
    try {
      while (count.kills < KILLS) {
        await connect(crowd);
        const doomed = server;
        const [killedAt] = await Promise.all([
          pause(random.between(20, 1000)).then(() => kill(doomed)),
          crowd.actUntilGone(),
        ]);
        count.kills += 1;
        server = server.restart();
        if (random.chance(1 / 4)) {
          await pause(random.between(0, 400));
          await kill(server);
          count.kills += 1;
          server = server.restart();
        }
        await server.ready();

        const seated = seats(crowd);
        const back = seated.filter(() => random.chance(1 / 2));
        const away = seated.filter((seat) => !back.includes(seat));
        for (const seat of back) await comesBack(seat);
        await ledger.compare();
        await crowd.lookAround();
        for (const seat of away) await wasLastSeen(seat, killedAt);
        for (const seat of back) await isStillThere(seat);
        await ledger.compare();
        count.returned += back.length;
        count.stayedAway += away.length;
      }
      await endEverything(crowd);
      await ledger.compareAll();
    } catch (cause) {
      const { message } = /** @type {Error} */ (cause);
      throw new Error(`SEED=${SEED} KILLS=${KILLS}, after kill ${count.kills}: ${message}`, {
        cause,
      });
    } finally {
      crowd.close();
      await server.close();
    }
    story.diagnostic(
      `${engine}: ${count.kills} kills, ${ledger.acknowledged} acknowledged changes checked, ` +
        `${count.returned} devices returned, ${count.stayedAway} stayed away, SEED=${SEED}`,
    );
  });
}

/** @param {Crowd} crowd */
async function connect({ members }) {
  for (const member of members) await member.connect();
}

/**
 * @param {import('./support/server.mjs').Server} server
 * @returns {Promise<number>} when it was gone
 */
async function kill(server) {
  await server.crash();
  return Date.now();
}

/**
 * @param {Crowd} crowd
 * @returns {Seated[]}
 */
function seats({ members }) {
  return members.flatMap((member) => {
    const { place } = member;
    member.place = undefined;
    return place ? [{ member, place }] : [];
  });
}

/**
 * The same device returns within the window, and the call goes on for it.
 * @param {Seated} seat
 */
async function comesBack({ member, place }) {
  await member.connect();
  try {
    const { joined } = await member.comeBack(place);
    assert(joined.call.participants.includes(member.person.id));
    assert.equal(joined.legId, place.legId, `${member.name} has the same leg again`);
    assert(joined.resumed && joined.mediaRestart, `${member.name} resumes, with new transports`);
  } catch (error) {
    const isOver = error instanceof Refused && error.code === 'call_ended';
    if (isOver && place.call.mayHaveEnded) return;
    const record = told(await place.call.read());
    throw new Error(`${member.name} cannot return to ${place.legId}\n${record}`, { cause: error });
  }
}

/**
 * A device that does not return left when it was last seen.
 * @param {Seated} seat
 * @param {number} killedAt
 */
async function wasLastSeen({ member, place }, killedAt) {
  const leg = await until(
    `${member.name}’s leg ${place.legId} in ${place.call.id} ends`,
    async () => (await legOf(place, place.legId)).leftAt !== null && legOf(place, place.legId),
    { seconds: RESUME_SECONDS + 5 },
  );
  const told = `${member.name} does not return: ${JSON.stringify(leg)}`;
  if (leg.reason === 'call-ended' && place.call.mayHaveEnded) return;
  assert.equal(leg.reason, 'server-restart', told);
  assert.equal(leg.leftAt, leg.lastSeenAt, told);
  assert(leg.lastSeenAt >= leg.joinedAt && Date.parse(leg.lastSeenAt) <= killedAt, told);
}

/** @param {Seated} seat */
async function isStillThere({ member, place }) {
  if (!member.place) return;
  const leg = await legOf(place, member.place.legId);
  assert.equal(leg.leftAt, null, `${member.name} keeps their leg: ${JSON.stringify(leg)}`);
}

/**
 * @param {Place} place
 * @param {string} legId
 */
async function legOf({ call }, legId) {
  const { legs } = await call.read();
  const leg = legs.find(({ id }) => id === legId);
  assert(leg, `${call.id} has lost leg ${legId}`);
  return leg;
}

/**
 * After all that, every group can have its call.
 * @param {Crowd} crowd
 */
async function endEverything(crowd) {
  await crowd.lookAround();
  for (const { id, owner, running } of crowd.groups) {
    if (running) running.ended(await owner.person.ask('PATCH', `/calls/${running.id}/end`));
    const { id: next } = await owner.person.startCall(id);
    await owner.person.ask('PATCH', `/calls/${next}/end`);
  }
}

const NAMES = ['Ada', 'Ben', 'Cleo', 'Dora', 'Emil'];
const RESUME_SECONDS = 2;
const SETTINGS = {
  RESUME_SECONDS: String(RESUME_SECONDS),
  UNATTACHED_SECONDS: '3',
  RING_SECONDS: '0',
  RATE_LIMIT_PER_USER: '0',
};
