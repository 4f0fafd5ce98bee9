// @ts-check

/**
 * @typedef {object} Call what the server says of a call
 * @property {string} id
 * @property {string} groupId
 * @property {string} status
 * @property {string[]} participants
 * @property {string | null} endReason
 * @property {Record<string, any>} metadata
 * @property {number} epoch
 * @property {number} seq
 */

/** What the server refused, with its stable code. */
export class Refused extends Error {
  /**
   * @param {string} what
   * @param {{ code: string, message?: string, status?: number, retryAfter?: string | null }} problem
   */
  constructor(what, { code, message, status, retryAfter }) {
    super(`${what}: ${code}${message ? ` (${message})` : ''}`);
    this.code = code;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

/** Somebody signed in, with the REST API in their hands. */
export class Person {
  /** @param {{ url: string, token: string, id: string, name: string }} identity */
  constructor({ url, token, id, name }) {
    this.url = url;
    this.token = token;
    this.id = id;
    this.name = name;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   * @returns {Promise<any>} the JSON of the answer
   */
  async ask(method, path, body) {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        Authorization: `Bearer ${this.token}`,
        ...(body && { 'Content-Type': 'application/json' }),
      },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    const answer = text ? JSON.parse(text) : undefined;
    if (!response.ok) {
      const { code, detail: message } = answer;
      const { status, headers } = response;
      const retryAfter = headers.get('Retry-After');
      throw new Refused(`${method} ${path}`, { code, message, status, retryAfter });
    }
    return answer;
  }

  /**
   * Every item of a list, page after page.
   * @param {string} path
   * @returns {Promise<any[]>}
   */
  async all(path) {
    const items = [];
    let cursor = '';
    do {
      const page = await this.ask('GET', `${path}?limit=100${cursor}`);
      items.push(...page.items);
      cursor = page.nextCursor && `&cursor=${encodeURIComponent(page.nextCursor)}`;
    } while (cursor);
    return items;
  }

  /**
   * @param {string} groupId
   * @param {'audio' | 'video' | 'screen'} [type]
   * @returns {Promise<Call>}
   */
  startCall(groupId, type = 'video') {
    return this.ask('POST', '/calls', { groupId, type });
  }

  /**
   * @param {string} callId
   * @returns {Promise<Call>}
   */
  call(callId) {
    return this.ask('GET', `/calls/${callId}`);
  }
}

/**
 * Signs somebody in by name, as development servers allow.
 * @param {{ url: string }} server
 * @param {string} name
 */
export async function signIn({ url }, name) {
  const response = await fetch(`${url}/auth/dev-token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ name }),
  });
  if (!response.ok) throw new Error(`Signing in: ${response.status} ${await response.text()}`);
  const { token, user } = await response.json();
  return new Person({ url, token, ...user });
}

/**
 * A new group of these people; the first one owns it.
 * @param {Person} owner
 * @param {...Person} members
 * @returns {Promise<string>} its id
 */
export async function createGroup(owner, ...members) {
  const { id } = await owner.ask('POST', '/groups', { name: `${owner.name}’s group` });
  for (const { id: userId } of members) {
    await owner.ask('POST', `/groups/${id}/members`, { userId });
  }
  return id;
}

/**
 * People who know each other, and a call of theirs that the first one has started.
 * @param {{ url: string }} server
 * @param {string[]} names
 * @param {'audio' | 'video' | 'screen'} [type]
 */
export async function startCallOf(server, names, type) {
  const people = await Promise.all(names.map((name) => signIn(server, name)));
  const [caller, ...others] = people;
  const groupId = await createGroup(caller, ...others);
  return { people, groupId, call: await caller.startCall(groupId, type) };
}
