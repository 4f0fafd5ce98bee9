// @ts-check
import assert from 'node:assert/strict';
import { createGroup, Refused, signIn } from './people.mjs';
import { Signaling } from './signaling.mjs';

/**
 * @typedef {import('./ledger.mjs').Ledger} Ledger
 * @typedef {import('./ledger.mjs').CallLedger} CallLedger
 * @typedef {import('./ledger.mjs').Register} Register
 * @typedef {import('./people.mjs').Person} Person
 * @typedef {import('./random.mjs').Random} Random
 *
 * @typedef {object} Group
 * @property {string} id
 * @property {CrowdMember} owner
 * @property {CallLedger | undefined} running its running call, as far as anybody knows
 * @property {Person} guest somebody whom the owner lets in and throws out
 * @property {Register} guestsRole
 *
 * @typedef {object} Place a device's leg in a call
 * @property {CallLedger} call
 * @property {string} legId
 * @property {string} resumeToken
 * @property {number} epoch
 */

/**
 * People in groups who start calls, join, leave, end and annotate them, all at once and at random. Whatever the server
 * acknowledges is in the ledger before anybody does anything else.
 */
export class Crowd {
  /**
   * Each of them owns a group in which all the others are.
   * @param {{ url: string }} server
   * @param {string[]} names
   * @param {Ledger} ledger
   * @param {Random} random
   */
  static async gather(server, names, ledger, random) {
    const members = [];
    for (const name of names) {
      members.push(new CrowdMember(await signIn(server, name), ledger, random));
    }
    const guest = await signIn(server, 'Guest');
    const groups = [];
    for (const owner of members) {
      const others = members.filter((member) => member !== owner).map(({ person }) => person);
      const id = await createGroup(owner.person, ...others);
      const role = async () => {
        const everybody = await owner.person.all(`/groups/${id}/members`);
        return everybody.find(({ userId }) => userId === guest.id)?.role;
      };
      const guestsRole = ledger.register(
        `the guest’s role in ${owner.name}’s group`,
        undefined,
        role,
      );
      groups.push({ id, owner, guest, guestsRole, running: undefined });
    }
    for (const member of members) member.groups = groups;
    return new Crowd(members, groups, ledger);
  }

  /**
   * @param {CrowdMember[]} members
   * @param {Group[]} groups
   * @param {Ledger} ledger
   */
  constructor(members, groups, ledger) {
    this.members = members;
    this.groups = groups;
    this.ledger = ledger;
  }

  /** Everybody acts until the server is gone. */
  async actUntilGone() {
    await Promise.all(this.members.map((member) => member.actUntilGone()));
  }

  /** Finds out which calls are running, those too whose start went unanswered. */
  async lookAround() {
    for (const group of this.groups) {
      group.running = undefined;
      try {
        const { id } = await group.owner.person.ask('GET', `/calls/group/${group.id}/active`);
        group.running = this.ledger.call(id, group.owner.person);
      } catch (error) {
        if (!(error instanceof Refused && error.code === 'not_found')) throw error;
      }
    }
  }

  close() {
    for (const member of this.members) member.close();
  }
}

/** Somebody with one device. */
export class CrowdMember {
  /** @type {Group[]} */
  groups = [];
  /** @type {Place | undefined} where their device is, unless a request to move it went unanswered */
  place;
  /** @type {Signaling | undefined} */
  #signaling;
  #annotations = 0;

  /**
   * @param {Person} person
   * @param {Ledger} ledger
   * @param {Random} random
   */
  constructor(person, ledger, random) {
    this.person = person;
    this.name = person.name;
    this.ledger = ledger;
    this.random = random;
  }

  /** Whoever has come back into a call stays on the socket that they did it with: to close it would be to leave. */
  async connect() {
    if (this.#signaling?.socket.connected) return;
    this.#signaling = await Signaling.connect(this.person, { transports: ['websocket'] });
    this.#signaling.socket.onAny((name, payload) => this.#hear(name, payload));
  }

  close() {
    this.#signaling?.close();
  }

  async actUntilGone() {
    for (;;) {
      try {
        await this.#act();
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        if (!(error instanceof Refused)) return;
        assert(ORDINARY_REFUSALS.has(error.code), `${this.name}: ${error.message}`);
        if (error.code === 'not_in_call' || error.code === 'call_ended') this.place = undefined;
      }
    }
  }

  /**
   * Joins the running call of the place they had, as the same device.
   * @param {Place} place
   */
  async comeBack({ call, legId, resumeToken, epoch }) {
    const joined = await this.#joinBySocket(call, resumeToken);
    assert(joined.epoch > epoch, `${this.name} returns to ${call.id} under a new epoch`);
    return { joined, legId };
  }

  /** Often enough what changes a call, seldom enough what ends it: at the crash there must be somebody in it. */
  #act() {
    const group = this.random.pick(this.groups);
    const call = this.place?.call ?? group.running;
    if (this.random.chance(0.1)) return this.#meetGuest();
    if (!call) return this.#start(group);
    const action = this.place
      ? this.random.weigh([
          [3, this.#leaveBySocket],
          [2, this.#leaveByRest],
          [1, this.#end],
          [94, this.#annotate],
        ])
      : this.random.weigh([
          [25, this.#joinByRest],
          [3, this.#leaveByRest],
          [2, this.#end],
          [70, this.#joinBySocket],
        ]);
    return action.call(this, call);
  }

  /** @param {Group} group */
  async #start(group) {
    const { id: me } = this.person;
    const started = await this.person.startCall(group.id);
    const call = this.ledger.call(started.id, group.owner.person);
    group.running = call;
    call.answered(`${this.name} starts it`, started);
    call.acknowledge(`${this.name} started it`, (record) => {
      const isRight = record.call.initiatedById === me && record.call.groupId === group.id;
      return isRight && record.legs.some(({ userId }) => userId === me);
    });
  }

  /** @param {CallLedger} call */
  async #joinByRest(call) {
    const { id: me } = this.person;
    const view = await this.person.ask('POST', `/calls/${call.id}/join`);
    assert(view.participants.includes(me), `${this.name} is in the call that they joined`);
    call.answered(`${this.name} joins over REST`, view);
    call.acknowledge(`${this.name} joined over REST`, ({ legs }) =>
      legs.some(({ userId }) => userId === me),
    );
  }

  /**
   * @param {CallLedger} call
   * @param {string} [resumeToken]
   */
  async #joinBySocket(call, resumeToken) {
    const { id: me } = this.person;
    const joined = await this.#request('call:join', {
      callId: call.id,
      device: 'phone',
      resumeToken,
    });
    const { legId, epoch } = joined;
    this.place = { call, legId, resumeToken: joined.resumeToken, epoch };
    call.answered(`${this.name} joins`, joined);
    call.acknowledge(`${this.name} joined as ${legId}`, ({ legs }) =>
      legs.some((leg) => leg.id === legId && leg.userId === me && leg.attachedAt !== null),
    );
    return joined;
  }

  /** @param {CallLedger} call */
  async #leaveBySocket(call) {
    const legId = this.place?.legId;
    this.place = undefined;
    await this.#request('call:leave', { callId: call.id });
    call.acknowledge(`${this.name} left with ${legId}`, ({ legs }) =>
      legs.some(({ id, leftAt }) => id === legId && leftAt !== null),
    );
  }

  /** @param {CallLedger} call */
  async #leaveByRest(call) {
    const { id: me } = this.person;
    if (this.place?.call === call) this.place = undefined;
    const asked = Date.now();
    const view = await this.person.ask('POST', `/calls/${call.id}/leave`);
    call.answered(`${this.name} leaves over REST`, view);
    call.acknowledge(`${this.name} left with every leg`, ({ legs }) =>
      legs.every((leg) => leg.userId !== me || leg.leftAt || Date.parse(leg.joinedAt) > asked),
    );
  }

  /**
   * Who may not end it learns that from the server.
   * @param {CallLedger} call
   */
  async #end(call) {
    const { mayHaveEnded } = call;
    call.mayHaveEnded = true;
    try {
      const over = this.random.chance(0.5)
        ? await this.person.ask('PATCH', `/calls/${call.id}/end`)
        : (await this.#request('call:end', { callId: call.id })).call;
      call.ended(over);
      this.#forget(call);
    } catch (error) {
      if (error instanceof Refused) call.mayHaveEnded = mayHaveEnded;
      throw error;
    }
  }

  /** @param {CallLedger} call */
  async #annotate(call) {
    this.#annotations += 1;
    const count = this.#annotations;
    await call.metadata(this.name).write(count, async () => {
      const annotated = { [this.name]: count };
      const view = await this.person.ask('PATCH', `/calls/${call.id}/metadata`, annotated);
      assert.equal(view.metadata[this.name], count);
      call.answered(`${this.name} annotates`, view);
    });
  }

  /** Lets the guest in, gives them another role, or throws them out. */
  async #meetGuest() {
    const own = this.groups.find(({ owner }) => owner === this);
    assert(own, 'everybody owns a group');
    const members = `/groups/${own.id}/members`;
    const { guest, guestsRole } = own;
    const role = this.random.pick(['admin', 'member']);
    if (guestsRole.value === undefined) {
      const request = { userId: guest.id, role };
      await guestsRole.write(role, () => this.person.ask('POST', members, request));
    } else if (this.random.chance(0.5)) {
      await guestsRole.write(role, () =>
        this.person.ask('PATCH', `${members}/${guest.id}`, { role }),
      );
    } else {
      await guestsRole.write(undefined, () => this.person.ask('DELETE', `${members}/${guest.id}`));
    }
  }

  /**
   * What was told was stored before.
   * @param {string} name
   * @param {any} payload
   */
  #hear(name, payload) {
    const id = payload.callId ?? payload.id;
    if (id === undefined || payload.seq === undefined) return;
    // Of a call that they have not heard of before they hear the beginning or the end, both with its group.
    const group = this.groups.find((group) => group.id === payload.groupId);
    const call = this.ledger.call(id, group?.owner.person ?? this.person);
    call.heard(this.name, name, payload);
    if (group && name === 'call:created') group.running = call;
    if (name === 'call:ended') this.#forget(call);
  }

  /** @param {CallLedger} call */
  #forget(call) {
    for (const group of this.groups) if (group.running === call) group.running = undefined;
    if (this.place?.call === call) this.place = undefined;
  }

  /**
   * @param {string} name
   * @param {object} payload
   */
  #request(name, payload) {
    if (!this.#signaling) throw new Error(`${this.name} is not connected`);
    return this.#signaling.request(name, payload);
  }
}

/** What may happen to anybody who acts at random beside others. */
const ORDINARY_REFUSALS = new Set(['call_ended', 'call_exists', 'forbidden', 'not_in_call']);
