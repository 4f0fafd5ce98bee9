// @ts-check

/** Choices that look random and are the same in every run with the same seed (Marsaglia's xorshift). */
export class Random {
  #state;

  /** @param {number} seed */
  constructor(seed) {
    // Seeds that are close to each other must not begin alike, and zero would stay zero.
    this.#state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  }

  /** From 0 to 2³² - 1. */
  next() {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return this.#state >>> 0;
  }

  /**
   * @param {number} least
   * @param {number} most
   */
  between(least, most) {
    return least + (this.next() % (most - least + 1));
  }

  /** @param {number} share how often it is true, from 0 to 1 */
  chance(share) {
    return this.next() < share * 2 ** 32;
  }

  /**
   * @template T
   * @param {T[]} list
   * @returns {T}
   */
  pick(list) {
    return list[this.between(0, list.length - 1)];
  }

  /**
   * @template T
   * @param {[number, T][]} choices each with how often it is taken, in percent; the last one takes the rest
   * @returns {T}
   */
  weigh(choices) {
    let rest = this.between(0, 99);
    for (const [percent, choice] of choices) {
      if (rest < percent) return choice;
      rest -= percent;
    }
    return choices[choices.length - 1][1];
  }
}
