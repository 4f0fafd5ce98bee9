/** As much of Matroska (RFC 9559) as playing a file of a recording takes: a header, then whole clusters. */

export type Piece = { name: 'header'; bytes: Uint8Array<ArrayBuffer> } | Cluster;

export interface Cluster {
  name: 'cluster';
  bytes: Uint8Array<ArrayBuffer>;
  /** In milliseconds of the file. */
  startMs: number;
  /** Where its last picture ends, or begins if more is not known; undefined for sound, which tells it itself. */
  endMs?: number;
}

/**
 * Cuts the bytes of a growing file into pieces, however they come. A cluster of pictures waits for the one that follows:
 * only that tells how long its last picture lasts, and browsers drop what comes after one that seems to end too soon.
 */
export class GrowingFile {
  readonly #hasPictures: boolean;
  #rest = new Uint8Array(0);
  #hasHeader = false;
  #waiting: Cluster | undefined;

  constructor(hasPictures: boolean) {
    this.#hasPictures = hasPictures;
  }

  /** The pieces that these bytes complete. Throws for a file that the server's recorder did not write. */
  push(bytes: Uint8Array): Piece[] {
    this.#rest = joined(this.#rest, bytes);
    const pieces: Piece[] = [];
    for (let piece = this.#next(); piece; piece = this.#next()) {
      if (piece.name === 'header' || !this.#hasPictures) pieces.push(piece);
      else {
        if (this.#waiting) pieces.push(lasting(this.#waiting, piece.startMs));
        this.#waiting = piece;
      }
    }
    return pieces;
  }

  /** What waits, when nothing follows for a while: its last picture may last. */
  flush(): Piece[] {
    const pieces = this.#waiting ? [lasting(this.#waiting, undefined)] : [];
    this.#waiting = undefined;
    return pieces;
  }

  #next(): Piece | undefined {
    const view = new DataView(this.#rest.buffer);
    if (!this.#hasHeader) {
      const length = headerLength(view);
      if (length === undefined) return undefined;
      this.#hasHeader = true;
      return { name: 'header', bytes: this.#take(length) };
    }
    if (view.byteLength < CLUSTER_HEAD) return undefined;
    const head = elementAt(view, 0);
    if (head?.id !== ID.cluster) throw foreign();
    const length = head.length + head.size;
    if (length > MAX_CLUSTER) throw foreign();
    if (view.byteLength < length) return undefined;
    const startMs = startOf(view, head.length, length);
    return { name: 'cluster', bytes: this.#take(length), startMs };
  }

  #take(length: number): Uint8Array<ArrayBuffer> {
    const taken = this.#rest.slice(0, length);
    this.#rest = this.#rest.slice(length);
    return taken;
  }
}

/** The same cluster, whose last block lasts until then, or for long. */
function lasting({ bytes, startMs }: Cluster, untilMs: number | undefined): Cluster {
  const view = new DataView(bytes.buffer);
  const head = elementAt(view, 0);
  const last = head && lastBlock(view, head.length);
  if (!last) return { name: 'cluster', bytes, startMs };
  const block = bytes.slice(last.position + last.length);
  // After the number of the track, in one byte.
  const relative = view.getUint16(last.position + last.length + 1);
  const isKeyFrame = ((block[3] ?? 0) & KEY_FRAME) !== 0;
  block[3] = (block[3] ?? 0) & ~KEY_FRAME;
  const lastMs = startMs + relative;
  const duration = untilMs === undefined ? LONG_MS : Math.max(1, untilMs - lastMs);
  const group = element(
    ID.blockGroup,
    element(ID.block, block),
    element(ID.blockDuration, bytesOf(duration, 4)),
    // Only a picture that refers to none is a key frame.
    isKeyFrame ? new Uint8Array(0) : element(ID.referenceBlock, new Uint8Array([0xff])),
  );
  const content = [bytes.slice(head.length, last.position), group];
  const whole = element(ID.cluster, ...content);
  return { name: 'cluster', bytes: whole, startMs, endMs: untilMs ?? lastMs };
}

/** The last of a cluster's simple blocks, if it is the cluster's end. */
function lastBlock(view: DataView, begin: number) {
  let position = begin;
  for (let head = elementAt(view, position); head; head = elementAt(view, position)) {
    const end = position + head.length + head.size;
    if (end >= view.byteLength) {
      const isBlock = head.id === ID.simpleBlock && end === view.byteLength;
      return isBlock ? { position, length: head.length } : undefined;
    }
    position = end;
  }
  return undefined;
}

function element(id: number, ...content: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = content.reduce((sum, part) => sum + part.length, 0);
  const idLength = Math.ceil((32 - Math.clz32(id)) / 8);
  const head = joined(bytesOf(id, idLength), bytesOf(size, 8));
  // A size of eight bytes.
  head[idLength] = 1;
  return content.reduce<Uint8Array<ArrayBuffer>>(joined, head);
}

function bytesOf(value: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let at = length - 1, rest = value; at >= 0; at -= 1, rest = Math.floor(rest / 256)) {
    bytes[at] = rest % 256;
  }
  return bytes;
}

/** How far a picture is to be turned clockwise, as a file's header says. */
export type Turn = 0 | 90 | 180 | 270;

export function turnOf(header: Uint8Array): Turn {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const roll = elementIn(view, [...PROJECTION, ID.roll]);
  if (!roll) return 0;
  const at = roll.position + roll.length;
  if (at + roll.size > view.byteLength) return 0;
  const degrees = roll.size === 8 ? view.getFloat64(at) : view.getFloat32(at);
  // It is counted counter-clockwise.
  const turn = (360 - Math.round(degrees)) % 360;
  return TURNS.find((known) => known === turn) ?? 0;
}

/** The header without the turn, which some browsers refuse. */
export function withoutTurn(header: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  const projection = elementIn(view, PROJECTION);
  if (!projection) return header;
  const { position, length, size } = projection;
  const bytes = header.slice();
  bytes.fill(0, position, position + length + size);
  // The id of `Void` is a byte shorter. Its size may take that byte, up to the eight that a size has at most.
  const sizeLength = Math.min(8, length - 1);
  bytes[position] = ID.void;
  let rest = length + size - 1 - sizeLength;
  for (let at = position + sizeLength; rest > 0; at -= 1, rest = Math.floor(rest / 256)) {
    bytes[at] = rest % 256;
  }
  bytes[position + 1] = (bytes[position + 1] ?? 0) | (0x80 >> (sizeLength - 1));
  return bytes;
}

/** Where an element is, by the ids of those around it and its own. */
function elementIn(view: DataView, path: number[]) {
  let [position, end] = [0, view.byteLength];
  for (const [depth, id] of path.entries()) {
    let head = elementAt(view, position);
    while (head && position < end && head.id !== id) {
      position += head.length + head.size;
      head = elementAt(view, position);
    }
    if (!head || position >= end) return undefined;
    if (depth === path.length - 1) return { position, ...head };
    position += head.length;
    // The segment has no length while it grows.
    if (id !== ID.segment) end = position + head.size;
  }
  return undefined;
}

/** The length of all before the first cluster; undefined while it has not come whole. */
function headerLength(view: DataView): number | undefined {
  let position = 0;
  while (position < MAX_HEADER) {
    const head = elementAt(view, position);
    if (!head) return undefined;
    if (head.id === ID.cluster) return position;
    // What is in the segment follows its head, and it has no length while it grows.
    position += head.length + (head.id === ID.segment ? 0 : head.size);
  }
  throw foreign();
}

/** The time of a cluster, in milliseconds of the file. */
function startOf(view: DataView, begin: number, end: number): number {
  let position = begin;
  while (position < end) {
    const head = elementAt(view, position);
    if (!head) break;
    if (head.id === ID.timestamp) return number(view, position + head.length, head.size);
    position += head.length + head.size;
  }
  throw foreign();
}

/** The head of an element (RFC 8794), if it is there. */
function elementAt(view: DataView, position: number) {
  const idLength = lengthAt(view, position);
  if (idLength === undefined || idLength > 4) return undefined;
  const sizeLength = lengthAt(view, position + idLength);
  if (sizeLength === undefined || position + idLength + sizeLength > view.byteLength) {
    return undefined;
  }
  // The first bits of a size tell its length.
  const begin = view.getUint8(position + idLength) & (0xff >> sizeLength);
  const size = number(view, position + idLength + 1, sizeLength - 1, begin);
  return { id: number(view, position, idLength), size, length: idLength + sizeLength };
}

/** How many bytes a number with a length of its own has. */
function lengthAt(view: DataView, position: number): number | undefined {
  if (position >= view.byteLength) return undefined;
  return Math.clz32(view.getUint8(position)) - 23;
}

function number(view: DataView, position: number, length: number, begin = 0): number {
  let value = begin;
  for (let index = 0; index < length; index += 1) {
    value = value * 256 + view.getUint8(position + index);
  }
  return value;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

function foreign(): Error {
  return new Error('This is no file of a recording.');
}

const ID = {
  segment: 0x18538067,
  tracks: 0x1654ae6b,
  track: 0xae,
  video: 0xe0,
  projection: 0x7670,
  roll: 0x7675,
  cluster: 0x1f43b675,
  timestamp: 0xe7,
  simpleBlock: 0xa3,
  blockGroup: 0xa0,
  block: 0xa1,
  blockDuration: 0x9b,
  referenceBlock: 0xfb,
  void: 0xec,
};
const PROJECTION = [ID.segment, ID.tracks, ID.track, ID.video, ID.projection];
const TURNS = [0, 90, 180, 270] as const;
/** The flag of a simple block. A block in a group has none. */
const KEY_FRAME = 0x80;
/** Longer than pictures stand still between two key frames. */
const LONG_MS = 15_000;
/** Bytes of a cluster that tell its time. */
const CLUSTER_HEAD = 28;
const MAX_HEADER = 64 * 1024;
const MAX_CLUSTER = 16 * 1024 * 1024;
