import { open } from '../api/http';
import { type Turn, turnOf } from '../api/matroska';

/** Lets a picture be shown turned clockwise. */
export function turn(element: HTMLMediaElement, degrees: Turn): void {
  element.dataset.turn = `${degrees}`;
}

/** Turns a picture as its file says, if the browser does not. */
export async function turnAsFile(element: HTMLMediaElement, url: string): Promise<void> {
  const head = await headOf(url).catch(() => undefined);
  const degrees = head ? turnOf(head) : 0;
  if (degrees !== 0 && !(await browserTurns())) turn(element, degrees);
}

async function headOf(url: string): Promise<Uint8Array> {
  const response = await open(url, { headers: { Range: `bytes=0-${HEAD - 1}` } });
  return new Uint8Array(await response.arrayBuffer());
}

let known: Promise<boolean> | undefined;

/** Whether this browser turns pictures by itself: it is shown one that is higher than wide only after that. */
function browserTurns(): Promise<boolean> {
  known ??= new Promise((resolve) => {
    const probe = document.createElement('video');
    probe.addEventListener('loadedmetadata', () => resolve(probe.videoHeight > probe.videoWidth));
    probe.addEventListener('error', () => resolve(false));
    probe.src = '/turned.webm';
  });
  return known;
}

/** More than the description of a track takes. */
const HEAD = 4096;
