// @ts-check
import assert from 'node:assert/strict';
import { Refused } from './people.mjs';

/**
 * @typedef {import('./people.mjs').Person} Person
 *
 * @typedef {object} CallRecord what the server has kept of a call
 * @property {any} call
 * @property {any[]} legs
 * @property {any[]} events
 *
 * @typedef {object} Acknowledged
 * @property {string} what "Ada joins", to fail with
 * @property {string} at
 * @property {(record: CallRecord) => boolean} isKept
 */

/** Everything that the server has acknowledged, to be compared with what it has kept. */
export class Ledger {
  /** @type {Map<string, CallLedger>} */
  #calls = new Map();
  /** @type {Register[]} */
  #registers = [];

  /**
   * @param {string} id
   * @param {Person} reader may look at it, however it goes on
   */
  call(id, reader) {
    const call = this.#calls.get(id) ?? new CallLedger(id, reader);
    this.#calls.set(id, call);
    return call;
  }

  /**
   * @param {string} what
   * @param {any} value
   * @param {() => Promise<any>} read
   */
  register(what, value, read) {
    const register = new Register(what, value, read);
    this.#registers.push(register);
    return register;
  }

  get acknowledged() {
    const calls = [...this.#calls.values(), ...this.#registers];
    return calls.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  }

  /** Calls that may have changed since they were last compared. */
  unsettled() {
    return [...this.#calls.values()].filter((call) => !call.isSettled);
  }

  async compare(calls = this.unsettled()) {
    for (const register of this.#registers) register.compare(await register.read());
    for (const call of calls) await call.compare();
  }

  /** Compares every call once more, those too that ended long ago. */
  compareAll() {
    return this.compare([...this.#calls.values()]);
  }
}

/** What was acknowledged about one call. */
export class CallLedger {
  /** @type {Acknowledged[]} */
  #kept = [];
  /** @type {Map<string, Register>} by key of the metadata */
  #metadata = new Map();
  /** @type {any[]} as they were when last compared: nothing of it may change */
  #events = [];
  /** @type {object | undefined} how it ended, once it was seen to be over */
  #outcome;
  #changes = 0;
  #compared = -1;

  /**
   * @param {string} id
   * @param {Person} reader
   */
  constructor(id, reader) {
    this.id = id;
    this.reader = reader;
    /** Somebody has asked for its end, whether or not that was answered. */
    this.mayHaveEnded = false;
  }

  get acknowledged() {
    const merges = [...this.#metadata.values()];
    return this.#kept.length + merges.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  }

  get isSettled() {
    return this.#outcome !== undefined && this.#compared === this.acknowledged + this.#changes;
  }

  /**
   * @param {string} what
   * @param {Acknowledged['isKept']} isKept
   */
  acknowledge(what, isKept) {
    this.#kept.push({ what, at: new Date().toISOString(), isKept });
  }

  /**
   * An answer tells how far the log had come.
   * @param {string} what
   * @param {{ epoch: number, seq: number }} stamp
   */
  answered(what, { epoch, seq }) {
    this.acknowledge(
      `${what} as of ${epoch}/${seq}`,
      ({ events }) => events[seq - 1]?.epoch === epoch,
    );
  }

  /**
   * An event that was told is in the log, under its number. Others are not meant to be there.
   * @param {string} who
   * @param {string} name
   * @param {{ epoch: number, seq: number }} payload
   */
  heard(who, name, { epoch, seq }) {
    const kind = LOGGED_AS[name];
    if (!kind) return;
    this.acknowledge(`${who} hears ${name} ${epoch}/${seq}`, ({ events }) => {
      const event = events[seq - 1];
      return event?.epoch === epoch && event.kind === kind;
    });
  }

  /** @param {any} call the answer to the request that ended it */
  ended(call) {
    const outcome = outcomeOf(call);
    assert(outcome, `an end is answered with a call that is over, not ${JSON.stringify(call)}`);
    this.acknowledge(
      `it ended: ${JSON.stringify(outcome)}`,
      (record) => JSON.stringify(outcomeOf(record.call)) === JSON.stringify(outcome),
    );
  }

  /** @param {string} key */
  metadata(key) {
    let register = this.#metadata.get(key);
    if (!register) {
      const read = async () => (await this.reader.call(this.id)).metadata[key];
      register = new Register(`metadata ${key} of call ${this.id}`, undefined, read);
      this.#metadata.set(key, register);
    }
    this.#changes += 1;
    return register;
  }

  /**
   * Its parts are read one after another; should it have changed meanwhile, again.
   * @returns {Promise<CallRecord>}
   */
  async read() {
    for (let attempt = 0; attempt < 10; attempt += 1) {
      const call = await this.reader.ask('GET', `/calls/${this.id}`);
      const legs = await this.reader.all(`/calls/${this.id}/legs`);
      const events = await this.reader.all(`/calls/${this.id}/events`);
      if (events.length <= call.seq) return { call, legs, events };
    }
    throw new Error(`${this.id} changes all the time`);
  }

  async compare() {
    const record = await this.read();
    this.#compareEvents(record);
    this.#compareOutcome(record);
    for (const { what, at, isKept } of this.#kept) {
      assert(isKept(record), `call ${this.id} lost this, from ${at}: ${what}\n${told(record)}`);
    }
    for (const [key, register] of this.#metadata) register.compare(record.call.metadata[key]);
    this.#compared = this.acknowledged + this.#changes;
    return record;
  }

  /** @param {CallRecord} record */
  #compareEvents(record) {
    const { call, events } = record;
    const before = this.#events;
    assert.deepEqual(events.slice(0, before.length), before, `the past of ${this.id} has changed`);
    let epoch = 1;
    for (const [index, event] of events.entries()) {
      assert.equal(event.seq, index + 1, `a gap in the events of ${this.id}\n${told(record)}`);
      assert(event.epoch >= epoch, `epochs of ${this.id} go back\n${told(record)}`);
      epoch = event.epoch;
    }
    assert(events.length >= call.seq, `${this.id} counts more events than it has\n${told(record)}`);
    this.#events = events;
  }

  /** @param {CallRecord} record */
  #compareOutcome(record) {
    const outcome = outcomeOf(record.call);
    if (this.#outcome)
      assert.deepEqual(outcome, this.#outcome, `the end of ${this.id} has changed`);
    this.#outcome = outcome;
    const open = record.legs.filter(({ leftAt }) => leftAt === null);
    if (outcome) assert.deepEqual(open, [], `${this.id} is over, but has open legs`);
    else assert.notDeepEqual(open, [], `${this.id} is stuck: nobody is in it\n${told(record)}`);
  }
}

/** A value that one person alone changes: what was acknowledged last, and what was asked for since. */
export class Register {
  acknowledged = 0;
  /** @type {any[]} */
  #possible;

  /**
   * @param {string} what
   * @param {any} value
   * @param {() => Promise<any>} read what the server has kept
   */
  constructor(what, value, read) {
    this.what = what;
    this.read = read;
    this.#possible = [value];
  }

  /** The value, unless a request for another one went unanswered. */
  get value() {
    return this.#possible[0];
  }

  /**
   * @param {any} value
   * @param {() => Promise<unknown>} request
   */
  async write(value, request) {
    this.#possible.push(value);
    try {
      await request();
    } catch (error) {
      if (error instanceof Refused) this.#possible.pop();
      throw error;
    }
    this.#possible = [value];
    this.acknowledged += 1;
  }

  /** @param {any} value what the server has kept */
  compare(value) {
    const wanted = this.#possible.map((possible) => JSON.stringify(possible)).join(' or ');
    assert(
      this.#possible.includes(value),
      `${this.what} is ${JSON.stringify(value)}, not ${wanted}`,
    );
    this.#possible = [value];
  }
}

/** @param {any} call */
function outcomeOf(call) {
  if (call.status === 'waiting' || call.status === 'active') return undefined;
  const { status, endReason, startedAt, endedAt, durationSeconds, maxParticipants } = call;
  return { status, endReason, startedAt, endedAt, durationSeconds, maxParticipants };
}

/**
 * A record, to fail with, and what happened last.
 * @param {CallRecord} record
 */
export function told({ call, legs, events }) {
  return [call, ...legs, '…', ...events.slice(-30)].map((row) => JSON.stringify(row)).join('\n');
}

/** @type {Record<string, string>} what the log calls an event of the wire */
const LOGGED_AS = {
  'call:created': 'call-created',
  'call:ended': 'call-ended',
  'participant-joined': 'leg-joined',
  'participant-left': 'leg-left',
  'media:new-producer': 'producer-opened',
  'media:producer-closed': 'producer-closed',
  'media:producer-paused': 'producer-paused',
  'media:producer-resumed': 'producer-resumed',
};
