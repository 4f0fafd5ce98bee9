// @ts-check
/**
 * What a network loses on its way to the server: no picture of a file has anything of another one in it, and times without
 * pictures are told. `SEED` repeats a run.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { serverForThisFile } from '../support/fixture.mjs';
import { LossyPath } from '../support/lossy-path.mjs';
import { NumberedCamera, numberedPicturesIn } from '../support/patterns.mjs';
import { Peer } from '../support/peer.mjs';
import { startCallOf } from '../support/people.mjs';
import { Random } from '../support/random.mjs';
import {
  assertAgrees,
  decode,
  packetTimes,
  startRecording,
  stopRecording,
  untilFinished,
  untilTracks,
} from '../support/recordings.mjs';

const SEED = Number(process.env.SEED ?? randomInt(2 ** 31));

const fixture = serverForThisFile();
const { use } = fixture;

for (const mimeType of ['video/VP8', 'video/VP9']) {
  test(`of ${mimeType} with 5 % loss and an outage every picture is the one that was sent, and holes are told`, async (story) => {
    const random = new Random(SEED);
    let began = 0;
    let sent = 0;
    const path = use(
      await LossyPath.open({
        delayMs: 25,
        loses: (ssrc) => {
          began ||= performance.now();
          sent ||= ssrc;
          const since = performance.now() - began;
          // What is sent again has another SSRC. Nothing brings back what is lost here.
          const isGone =
            since > OUTAGE_MS.from && since < (ssrc === sent ? OUTAGE_MS.to : OUTAGE_MS.end);
          return isGone || random.chance(0.05);
        },
      }),
    );
    const { people, call } = await startCallOf(fixture.server, ['Alice']);
    const alice = use(await Peer.join(people[0], call, { through: (it) => path.through(it) }));
    const camera = use(new NumberedCamera());
    const codecs = alice.device.recvRtpCapabilities.codecs ?? [];
    const codec = codecs.find((codec) => codec.mimeType === mimeType);
    const encodings = [{ maxBitrate: 1_500_000 }];
    const codecOptions = { videoGoogleStartBitrate: 1_000 };
    await alice.produce('camera', camera.track, { codec, encodings, codecOptions });
    const { id } = await startRecording(people[0], call.id);
    await untilTracks(people[0], id, 1, 15_000);
    await stopRecording(people[0], id);
    const recording = await untilFinished(people[0], id);

    const [track] = recording.tracks;
    const [file] = await assertAgrees(recording, `${fixture.server.settings.DATA_DIR}/recordings`);
    await decode(file);
    const pictures = await numberedPicturesIn(file);
    const { media, lost } = path.counts;
    story.diagnostic(
      `${mimeType}: ${lost} of ${media} packets lost, ${pictures.length} pictures of ${camera.count}, ` +
        `holes ${JSON.stringify(track.holes)}, SEED=${SEED}`,
    );
    assert(lost / media > 0.03, `${lost} of ${media} packets were lost`);
    assert(pictures.length > 60, `${pictures.length} pictures`);
    const smeared = pictures
      .map(({ number, wrong }, index) => `${index}: ${number} with ${wrong} blocks of others`)
      .filter((_, index) => pictures[index].wrong > 0);
    assert.deepEqual(smeared, [], `SEED=${SEED}, ${file}`);
    const numbers = pictures.map(({ number }) => number);
    assert(
      // An encoder without bandwidth sends the same picture again.
      numbers.every((number, index) => index === 0 || number >= numbers[index - 1]),
      `SEED=${SEED}: pictures in their order: ${numbers}`,
    );
    const times = (await packetTimes(file)).map((at) => 1_000 * at + track.files[0].startMs);
    assert.equal(times.length, pictures.length);
    assert(track.holes.length > 0, 'the outage is told');
    for (const [index, number] of numbers.entries()) {
      if (index === 0 || number - numbers[index - 1] <= MOST_SKIPPED) continue;
      const [from, to] = [times[index - 1], times[index]];
      const told = track.holes.some(({ fromMs, toMs }) => fromMs < to && toMs > from);
      const missing = `${number - numbers[index - 1] - 1} pictures from ${from} to ${to} ms`;
      assert(told, `SEED=${SEED}: ${missing} are missing: ${JSON.stringify(track.holes)}`);
    }
  });
}

/** After the first packet: everything is lost, and until the end what is sent again. */
const OUTAGE_MS = { from: 7_000, to: 7_600, end: 10_000 };
/** After an outage an encoder has little bandwidth, and leaves out pictures, which are not lost: up to a second of them. */
const MOST_SKIPPED = 15;
