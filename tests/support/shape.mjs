// @ts-check
import assert from 'node:assert/strict';

/**
 * Asserts that a value from the wire has exactly this shape: the same keys, and at every leaf either the same
 * value or one that the given function takes.
 * @param {any} actual
 * @param {any} shape
 * @param {string} [path]
 */
export function assertShape(actual, shape, path = 'payload') {
  if (typeof shape === 'function') {
    assert(shape(actual), `${path} is ${JSON.stringify(actual)}, not ${shape.name}`);
  } else if (typeof shape === 'object' && shape !== null) {
    assert(typeof actual === 'object' && actual !== null, `${path} is ${actual}`);
    assert.deepEqual(Object.keys(actual).sort(), Object.keys(shape).sort(), `keys of ${path}`);
    for (const key of Object.keys(shape)) assertShape(actual[key], shape[key], `${path}.${key}`);
  } else {
    assert.equal(actual, shape, path);
  }
}

/** @param {any} value */
export const uuid = (value) => UUID.test(value);
/** @param {any} value */
export const time = (value) => typeof value === 'string' && RFC_3339_UTC.test(value);
/** @param {any} value */
export const count = (value) => Number.isSafeInteger(value) && value >= 0;
/** @param {any} value */
export const text = (value) => typeof value === 'string' && value !== '';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const RFC_3339_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
