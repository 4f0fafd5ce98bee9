import type { Call } from '../api/types';

/** A length of time in words: `45 s`, `12 min`, `1 h 5 min`. */
export function inWords(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)} h${rest > 0 ? ` ${rest} min` : ''}`;
}

/** A size in words: `320 kB`, `4.5 MB`. */
export function inBytes(bytes: number): string {
  const unit = UNITS.findLast(({ size }) => bytes >= size) ?? UNITS[0];
  const count = bytes / unit.size;
  return `${count < 10 ? Math.round(count * 10) / 10 : Math.round(count)} ${unit.name}`;
}

const UNITS = [
  { name: 'B', size: 1 },
  { name: 'kB', size: 1e3 },
  { name: 'MB', size: 1e6 },
  { name: 'GB', size: 1e9 },
] as const;

/** A running clock: `4:05`, `1:04:05`. */
export function asClock(seconds: number): string {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown
    .map((part, index) => (index === 0 ? `${part}` : `${part}`.padStart(2, '0')))
    .join(':');
}

/** A time of day. */
export function asTime(time: string): string {
  return new Date(time).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
}

/** When something was, as people say it. */
export function asMoment(time: string, now = new Date()): string {
  const date = new Date(time);
  const clock = asTime(time);
  if (date.toDateString() === now.toDateString()) return `Today, ${clock}`;
  const yesterday = new Date(now);
  yesterday.setDate(now.getDate() - 1);
  if (date.toDateString() === yesterday.toDateString()) return `Yesterday, ${clock}`;
  const year = date.getFullYear() === now.getFullYear() ? {} : { year: 'numeric' as const };
  return `${date.toLocaleDateString(undefined, { day: 'numeric', month: 'short', ...year })}, ${clock}`;
}

/** A kind of call at the beginning of a sentence. */
export function callTitle(type: Call['type']): string {
  return { audio: 'Audio call', video: 'Video call', screen: 'Screen call' }[type];
}
