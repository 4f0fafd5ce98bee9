/** Initials on a colour that stays the same for a name. */
export function Avatar({ name, size = 'small' }: { name: string; size?: 'small' | 'large' }) {
  return (
    <span class={`avatar ${size}`} data-tone={toneOf(name)} aria-hidden="true">
      {initialsOf(name)}
    </span>
  );
}

function initialsOf(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined];
  return (
    letters
      .map((word) => [...(word ?? '')][0] ?? '')
      .join('')
      .toUpperCase() || '?'
  );
}

function toneOf(name: string): number {
  const mix = (hash: number, letter: string) =>
    Math.imul(hash ^ (letter.codePointAt(0) ?? 0), FNV_PRIME);
  return ([...name].reduce(mix, FNV_START) >>> 8) % TONES;
}

/** As many as `.avatar` has colours. */
const TONES = 8;

/** 32-bit FNV-1a. */
const FNV_START = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
