// @ts-check
/** Camera, microphone and screen of the demo page in Chromium: when they are on, which they are, and who may use them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { launchChromium } from './support/browsers.mjs';
import { DemoPage } from './support/demo-page.mjs';
import { serverForThisFile } from './support/fixture.mjs';
import { createGroup, signIn, startCallOf } from './support/people.mjs';
import { Signaling } from './support/signaling.mjs';
import { holdScreenPicker, liveTracks } from './support/tracks.mjs';
import { until } from './support/until.mjs';

const fixture = serverForThisFile();
const { use } = fixture;
/** @type {import('puppeteer-core').Browser} */
let browser;

before(async () => {
  browser = await launchChromium({ devices: 3 });
});
after(() => browser?.close());

for (const { way, end, shows } of /** @type {Way[]} */ ([
  {
    way: 'leaves it',
    end: ({ bob }) => bob.click('leave'),
    shows: 'group-page',
  },
  {
    way: 'is in it while somebody ends it',
    end: ({ alice, call }) => alice.ask('PATCH', `/calls/${call.id}/end`),
    shows: 'call-ended',
  },
  {
    way: 'is removed from it',
    end: async ({ alice, bob, call }) =>
      alice.ask('DELETE', `/calls/${call.id}/participants/${await bob.userId()}`),
    shows: 'call-unavailable',
  },
  {
    way: 'loses the membership of its group',
    end: async ({ alice, bob, call }) =>
      alice.ask('DELETE', `/groups/${call.groupId}/members/${await bob.userId()}`),
    shows: 'call-unavailable',
  },
  {
    way: 'goes on in another tab',
    end: takeOver,
    shows: 'call-unavailable',
  },
])) {
  test(`camera, microphone and screen go off when somebody ${way}`, async () => {
    const story = await oneSharing();
    await end(story);
    await story.bob.untilShown(shows);
    await untilOn(story.bob, []);
  });
}

test('a screen is not shared on into the call of another group, and nothing stays on', async () => {
  const { alice, bob } = await oneSharing();
  const other = await createGroup(alice, await signIn(fixture.server, bob.name));
  await alice.startCall(other, 'audio');
  await bob.click('incoming-join');
  await bob.click('leave-confirm');
  await bob.untilShown('preview');
  await untilOn(bob, ['mic']);
  await bob.click('preview-cancel');
  await untilOn(bob, []);
});

test('a camera that was on for a video call is off in the audio call that somebody else began', async () => {
  const [alice, bob] = await people('Alice', 'Bob');
  const groupId = await createGroup(alice, bob);
  const page = use(
    await DemoPage.signIn(browser, `${fixture.server.url}/group/${groupId}/start/video`, bob.name),
  );
  await untilOn(page, ['camera', 'mic']);
  // The page expects this refusal, but browsers write every refusal on the console.
  page.expectComplaint(/status of 409/);
  await alice.startCall(groupId, 'audio');
  await page.join();
  await untilOn(page, ['mic']);
});

test('a screen that is picked when the call is over is not shared', async () => {
  const { alice, bob, call } = await inACall();
  const choose = await holdScreenPicker(bob.page);
  await bob.click('screen');
  await alice.ask('PATCH', `/calls/${call.id}/end`);
  await bob.untilShown('call-ended');
  await choose();
  await untilOn(bob, []);
});

test('signing out on the way into a call turns everything off', async () => {
  const { bob } = await inAPreview();
  await untilOn(bob, ['camera', 'mic']);
  await bob.click('sign-out');
  await untilOn(bob, []);
});

test('the camera and the microphone that people choose are used, also after a reload', async () => {
  const { bob } = await inAPreview();
  await bob.untilShown('device-videoinput');
  const camera = await bob.choose('device-videoinput', 2);
  const mic = await bob.choose('device-audioinput', 2);
  await untilUsed(bob, { camera, mic });
  await bob.join();
  await untilUsed(bob, { camera, mic });
  await bob.page.reload();
  await bob.untilInCall();
  await untilUsed(bob, { camera, mic });

  await bob.click('settings');
  const another = await bob.choose('device-videoinput', 1);
  assert.notEqual(another, camera);
  await untilUsed(bob, { camera: another, mic });
});

test('a chosen device that is not plugged in is replaced by one that is', async () => {
  const { bob } = await inAPreview();
  const gone = { videoinput: 'gone', audioinput: 'gone' };
  await bob.page.evaluate((devices) => {
    localStorage.setItem('switchyard.devices', JSON.stringify(devices));
  }, gone);
  await bob.page.reload();
  await untilOn(bob, ['camera', 'mic']);
  assert(!(await bob.shows('[data-testid="problem"]')), 'nothing to complain of');
});

test('a device that cannot be opened in a call is told of where it was chosen', async () => {
  const { bob } = await inACall();
  await bob.page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () =>
      Promise.reject(new DOMException('taken', 'NotReadableError'));
  });
  bob.expectComplaint(/Another app is using your camera/);
  await bob.click('settings');
  await bob.choose('device-videoinput', 2);
  await bob.untilShown('problem');
  await untilOn(bob, ['mic']);
});

test('who may no longer speak or be seen is told, stops, and may begin again when let', async () => {
  const { alice, bob, call } = await oneSharing();
  const path = `/calls/${call.id}/participants/${await bob.userId()}`;
  await alice.ask('PATCH', path, { canPublish: [] });
  await bob.untilSaid(/Alice turned off your microphone, camera, and screen sharing/);
  await untilOn(bob, []);
  for (const control of ['mic', 'camera', 'screen']) {
    assert(await bob.shows(`[data-testid="${control}"]:disabled`), `${control} cannot be used`);
  }
  assert(!(await bob.said(/The server turned off/)), 'one reason is told, not two');
  await bob.page.reload();
  await bob.untilInCall();
  await untilOn(bob, []);

  await alice.ask('PATCH', path, { canPublish: ['mic', 'camera'] });
  await bob.untilSaid(/You may use your microphone and camera again/);
  await untilOn(bob, []);
  assert(await bob.shows('[data-testid="screen"]:disabled'), 'the screen was not given back');
  await bob.click('mic');
  await bob.click('camera');
  await until('both are sent again', async () => {
    const [mic] = await bob.outgoing('mic');
    const layers = await bob.outgoing('camera');
    return mic.packetsSent > 20 && layers.some(({ framesEncoded = 0 }) => framesEncoded > 10);
  });
});

test('a microphone whose right was taken and given back within the call is heard again', async () => {
  const { alice, bob, call } = await inACall();
  const listener = use(await Signaling.connect(alice));
  await listener.request('call:join', { callId: call.id });
  await until('Bob can be heard', async () => (await bob.outgoing('mic'))[0]?.packetsSent > 0);
  const path = `/calls/${call.id}/participants/${await bob.userId()}`;
  const camera = ['camera', 'screen', 'screen-audio'];
  await alice.ask('PATCH', path, { canPublish: camera });
  await bob.untilSaid(/Alice turned off your microphone for this call/);
  await untilOn(bob, ['camera']);
  const { producerId } = await listener.heard('media:producer-closed');
  await alice.ask('PATCH', path, { canPublish: [...camera, 'mic'] });
  await bob.untilSaid(/You may use your microphone again/);
  await bob.click('mic');
  const producer = await listener.heard(
    'media:new-producer',
    ({ appData, producerId: id }) => appData.source === 'mic' && id !== producerId,
  );
  assert.equal(producer.paused, false);
  await until('sound is sent', async () => (await bob.outgoing('mic'))[0].packetsSent > 20);
});

test('who may not receive sees nobody, and sees everybody when let again', async () => {
  const { alice, bob, call } = await inACall();
  const carol = use(
    await DemoPage.signIn(browser, `${fixture.server.url}/call/${call.id}`, 'Alice'),
  );
  await carol.join();
  await bob.seesMoving(carol);
  const path = `/calls/${call.id}/participants/${await bob.userId()}`;
  await alice.ask('PATCH', path, { canSubscribe: false });
  await bob.untilSaid(/Alice does not let you hear and see the others/);
  const picture = `[data-testid="tile-${await carol.userId()}-camera"] video`;
  await until('the picture is gone', async () => !(await bob.shows(picture)));
  await alice.ask('PATCH', path, { canSubscribe: true });
  await bob.untilSaid(/You may hear and see the others again/);
  await bob.seesMoving(carol);
});

/** @typedef {import('./support/people.mjs').Person} Person */
/** @typedef {import('./support/people.mjs').Call} Call */
/** @typedef {{ alice: Person, bob: DemoPage, call: Call }} Story */
/**
 * @typedef {object} Way
 * @property {string} way out of a call
 * @property {(story: Story) => Promise<unknown>} end takes it
 * @property {string} shows what Bob sees then
 */

/** @param {...string} names */
function people(...names) {
  return Promise.all(names.map((name) => signIn(fixture.server, name)));
}

/** Alice has the API in her hands, and a call; Bob has the page, at the way into it. */
async function inAPreview() {
  const { people, call } = await startCallOf(fixture.server, ['Alice', 'Bob']);
  const address = `${fixture.server.url}/call/${call.id}`;
  const bob = use(await DemoPage.signIn(browser, address, 'Bob'));
  return { alice: people[0], bob, call };
}

async function inACall() {
  const story = await inAPreview();
  // The call lives as long as somebody is in it, and Alice has only the API.
  await story.bob.join();
  await untilOn(story.bob, ['camera', 'mic']);
  return story;
}

/** The same, with Bob's screen shared. */
async function oneSharing() {
  const story = await inACall();
  await story.bob.click('screen');
  await until('all of Bob is on', async () =>
    (await liveTracks(story.bob.page)).some(({ kind }) => kind === 'screen'),
  );
  return story;
}

/**
 * Joins as the same device from somewhere else, as a copy of the tab does.
 * @param {{ bob: DemoPage, call: Call }} story
 */
async function takeOver({ bob, call }) {
  const device = await bob.page.evaluate(() =>
    JSON.parse(sessionStorage.getItem('switchyard.device') ?? ''),
  );
  const copy = use(await Signaling.connect(await signIn(fixture.server, bob.name)));
  await copy.request('call:join', { callId: call.id, device });
}

/**
 * Until just these are on, of whatever the browser ever handed out.
 * @param {DemoPage} person
 * @param {string[]} kinds
 */
async function untilOn(person, kinds) {
  let on = '';
  await person.until(
    () => `${person.name} has on: ${kinds.join(', ') || 'nothing'}; on is: ${on}`,
    async () => {
      const tracks = await liveTracks(person.page);
      on = tracks
        .map(({ kind }) => kind)
        .sort()
        .join(', ');
      return on === kinds.join(', ');
    },
  );
}

/**
 * @param {DemoPage} person
 * @param {Record<string, string>} wanted ids of devices
 */
async function untilUsed(person, wanted) {
  let used = {};
  await person.until(
    () => `${person.name} uses ${JSON.stringify(wanted)}; used are ${JSON.stringify(used)}`,
    async () => {
      const tracks = await liveTracks(person.page);
      used = Object.fromEntries(tracks.map(({ kind, deviceId }) => [kind, deviceId]));
      return JSON.stringify(used, ['camera', 'mic']) === JSON.stringify(wanted, ['camera', 'mic']);
    },
  );
}
