// @ts-check
/** Measures every scenario without and with adaptation, prints a table, and checks the little that must hold. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { record } from './call.mjs';
import { faultOf, figuresOf } from './figures.mjs';
import { writeSound, writeVideo } from './footage.mjs';
import { SCENARIOS } from './scenarios.mjs';
import { complaintsOf, tableOf } from './table.mjs';

// The first process of its namespace ends by signals only if it says so. Then the kernel ends all others.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

const folder = mkdtempSync(join(tmpdir(), 'footage-'));
writeVideo(join(folder, 'camera.y4m'));
writeSound(join(folder, 'microphone.wav'));
spawnSync('ip', ['link', 'set', 'lo', 'up'], { stdio: 'inherit' });

/** Of one scenario, the void ones included. */
const RUNS = 3;

const asked = process.env.SCENARIO ?? '';
const scenarios = SCENARIOS.filter(({ name }) => name.startsWith(asked));
assert(scenarios.length > 0, `no scenario begins with ${asked}`);
const results = [];
for (const scenario of scenarios) {
  for (const adaptation of [false, true]) {
    const result = {
      scenario: scenario.name,
      adaptation,
      ...(await measured(scenario, adaptation)),
    };
    console.log(`${scenario.name}, adaptation ${adaptation}: ${result.fault ?? 'measured'}`);
    results.push(result);
  }
}
console.log(tableOf(results));
const complaints = complaintsOf(results);
for (const complaint of complaints) console.error(complaint);
process.exit(complaints.length > 0 ? 1 : 0);

/**
 * Figures of a scenario; again if a run says nothing, at most three runs.
 * @param {import('./scenarios.mjs').Scenario} scenario
 * @param {boolean} adaptation
 */
async function measured(scenario, adaptation) {
  for (let run = 1; ; run += 1) {
    const recording = await record(scenario, { adaptation, folder });
    const figures = figuresOf(recording);
    const fault = faultOf(figures);
    keep(`${scenario.name}-${adaptation ? 'with' : 'without'}-${run}`, {
      figures,
      fault,
      ...recording,
    });
    if (!fault || run === RUNS) return { figures, fault };
    console.log(`${scenario.name}: void, ${fault}; once more`);
  }
}

/**
 * @param {string} name
 * @param {object} what
 */
function keep(name, what) {
  const artifacts = join(import.meta.dirname, '../artifacts/network');
  mkdirSync(artifacts, { recursive: true });
  writeFileSync(join(artifacts, `${name.replace(/[^\w.]+/g, '-')}.json`), JSON.stringify(what));
}
