// @ts-check
/**
 * @typedef {object} Result of one scenario
 * @property {string} scenario
 * @property {boolean} adaptation
 * @property {import('./figures.mjs').Figures} figures
 * @property {string | undefined} fault why the figures say nothing about the server
 */

/** @type {[title: string, cell: (figures: import('./figures.mjs').Figures) => string][]} */
const ROWS = [
  ['frames/s of a camera', ({ framesPerSecond }) => framesPerSecond.toFixed(1)],
  ['seconds under 5 frames/s', ({ poorSeconds }) => percent(poorSeconds)],
  ['seconds by picture height', ({ heights }) => heightsText(heights)],
  ['freezes', ({ freezes, frozenSeconds }) => `${freezes} (${frozenSeconds.toFixed(1)} s)`],
  ['sound concealed', ({ concealed }) => percent(concealed)],
  ['sound concealed, silence included', ({ concealedAll }) => percent(concealedAll)],
  ['media received, kbit/s', ({ kbitPerSecond }) => kbitPerSecond.toFixed(0)],
  ['sent towards the link, kbit/s', ({ linkKbitPerSecond }) => linkKbitPerSecond.toFixed(0)],
  [
    'link: queue p50, p95',
    ({ queueMs: { p50, p95 } }) => `${p50.toFixed(0)}, ${p95.toFixed(0)} ms`,
  ],
  ['link: packets dropped', ({ queueDrops }) => String(queueDrops)],
  ['link: late, p99', ({ lateMs }) => `${lateMs.toFixed(2)} ms`],
  ['encoders limited by', ({ limited }) => limited.join(', ') || 'nothing'],
];

/**
 * @param {Result[]} results
 * @returns {string} Markdown
 */
export function tableOf(results) {
  const scenarios = [...new Set(results.map(({ scenario }) => scenario))];
  return scenarios.map((scenario) => sectionOf(scenario, results)).join('\n');
}

/**
 * @param {string} scenario
 * @param {Result[]} results
 */
function sectionOf(scenario, results) {
  const columns = results.filter((result) => result.scenario === scenario);
  const titles = columns.map(({ adaptation, fault }) => {
    const title = adaptation ? 'with adaptation' : 'without';
    return fault ? `${title}, void: ${fault}` : title;
  });
  const rows = ROWS.map(([title, cell]) => [title, ...columns.map(({ figures }) => cell(figures))]);
  const lines = [[scenario, ...titles], [scenario, ...titles].map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

/**
 * What must hold with adaptation on every machine that is quick enough to measure.
 * @param {Result[]} results
 */
export function complaintsOf(results) {
  const complaints = [];
  for (const { scenario, adaptation, figures, fault } of results) {
    if (!adaptation) continue;
    const { concealed, framesPerSecond, poorSeconds } = figures;
    if (fault) complaints.push(`${scenario}: nothing was measured, ${fault}`);
    else if (!(concealed <= MOST_CONCEALED)) {
      complaints.push(`${scenario}: ${percent(concealed)} of the sound were concealed`);
    }
    if (scenario === 'clean' && !(framesPerSecond > 15 && poorSeconds < 0.1)) {
      complaints.push(
        `${scenario}: the call does not work, ${framesPerSecond.toFixed(1)} frames/s came`,
      );
    }
  }
  return complaints;
}

/** @param {Record<number, number>} heights */
function heightsText(heights) {
  const parts = Object.entries(heights).sort(([a], [b]) => Number(b) - Number(a));
  return parts
    .map(([height, share]) => `${height === '0' ? 'none' : height}: ${percent(share)}`)
    .join(', ');
}

/** @param {number} share */
function percent(share) {
  return `${(share * 100).toFixed(1)} %`;
}

const MOST_CONCEALED = 0.1;
