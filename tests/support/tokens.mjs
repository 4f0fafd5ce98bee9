// @ts-check
import { createHmac } from 'node:crypto';

/**
 * A JSON web token (RFC 7519), signed with HS256 unless told otherwise.
 * @param {object} claims
 * @param {{ secret: string, alg?: 'HS256' | 'none' }} how
 */
export function sign(claims, { secret, alg = 'HS256' }) {
  const encode = (/** @type {object} */ part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url');
  const signed = `${encode({ alg, typ: 'JWT' })}.${encode(claims)}`;
  const signature = createHmac('sha256', secret).update(signed).digest('base64url');
  return `${signed}.${alg === 'none' ? '' : signature}`;
}

/**
 * A time as claims have it.
 * @param {number} seconds
 */
export function inSeconds(seconds) {
  return Math.floor(Date.now() / 1000) + seconds;
}
