/** Captions: what is said, by whom, and when. */
export interface Cue {
  fromMs: number;
  toMs: number;
  /** As the file names who speaks; undefined where it does not. */
  lines: { voice: string | undefined; text: string }[];
}

/** The cues of a WebVTT file (https://www.w3.org/TR/webvtt1), in order of time. What cannot be read is left out. */
export function parseWebVtt(file: string): Cue[] {
  const blocks = file
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?/g, '\n')
    .split(/\n{2,}/);
  const cues = blocks.flatMap((block) => cueOf(block) ?? []);
  return cues.sort((one, other) => one.fromMs - other.fromMs);
}

function cueOf(block: string): Cue | undefined {
  const lines = block.split('\n');
  // A cue may have a name of its own before its times.
  const at = lines.findIndex((line) => line.includes('-->'));
  if (at < 0 || at > 1) return undefined;
  const [begin, rest] = (lines[at] ?? '').split('-->');
  const fromMs = timeOf(begin);
  const toMs = timeOf(rest?.trim().split(/\s/)[0]);
  if (fromMs === undefined || toMs === undefined || toMs <= fromMs) return undefined;
  const said = saidIn(lines.slice(at + 1).join('\n'));
  return said.length > 0 ? { fromMs, toMs, lines: said } : undefined;
}

function timeOf(text: string | undefined): number | undefined {
  const found = /^(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})$/.exec(text?.trim() ?? '');
  if (!found) return undefined;
  const [hours, minutes, seconds, milliseconds] = found.slice(1).map((part) => Number(part ?? 0));
  if (milliseconds === undefined) return undefined;
  return (((hours ?? 0) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1_000 + milliseconds;
}

/** Each voice on a line of its own. */
function saidIn(text: string): Cue['lines'] {
  const parts = text.split(/<v(?:\.[^\s>]*)?\s+([^>]*)>/);
  const lines: Cue['lines'] = [];
  for (let index = 0; index < parts.length; index += 2) {
    const words = plain(parts[index] ?? '');
    const voice = index > 0 ? plain(parts[index - 1] ?? '') : undefined;
    if (words) lines.push({ voice, text: words });
  }
  return lines;
}

/** Without tags, and with the characters that are written as names. */
function plain(text: string): string {
  return text
    .replace(/<[^>]*>/g, '')
    .replace(/&(amp|lt|gt|nbsp|lrm|rlm);/g, (_, name: string) => NAMED[name] ?? '')
    .replace(/\s+/g, ' ')
    .trim();
}

const NAMED: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  nbsp: '\u00a0',
  lrm: '\u200e',
  rlm: '\u200f',
};
