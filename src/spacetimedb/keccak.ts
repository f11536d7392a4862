/**
 * Keccak-256 as it was before NIST changed its padding: what SpacetimeDB names programs by. OpenSSL has only the later
 * SHA3-256, of the same permutation and another padding byte, which is what the test compares with.
 *
 * State: 25 lanes of 64 bits, each as two 32-bit halves, low one first. Source: keccak.team, "Keccak specifications
 * summary"; FIPS 202 for the permutation.
 */
import { assert } from '../core/errors.ts';

const RATE_BYTES = 136;
const ROUNDS = 24;
const KECCAK_PADDING = 0x01;

/** Round constants by their linear feedback register, rotation offsets and lane order by walking the lanes. */
const { constants, rotations, order } = makeTables();

function makeTables(): { constants: Int32Array; rotations: Int32Array; order: Int32Array } {
  const roundConstants = new Int32Array(2 * ROUNDS);
  let register = 1;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let j = 0; j < 7; j += 1) {
      const bit = (1 << j) - 1;
      const half = 2 * round + (bit >= 32 ? 1 : 0);
      if (register & 1) roundConstants[half] = (roundConstants[half] ?? 0) ^ (1 << (bit % 32));
      register = register & 0x80 ? ((register << 1) ^ 0x171) & 0xff : register << 1;
    }
  }
  const lanes = new Int32Array(24);
  const offsets = new Int32Array(24);
  let [x, y] = [1, 0];
  for (let t = 0; t < 24; t += 1) {
    [x, y] = [y, (2 * x + 3 * y) % 5];
    lanes[t] = x + 5 * y;
    offsets[t] = (((t + 1) * (t + 2)) / 2) % 64;
  }
  return { constants: roundConstants, rotations: offsets, order: lanes };
}

const column = new Int32Array(10);
const row = new Int32Array(10);

// Indexes are within the tables by construction; the permutation runs some thousand times for each module.
const at = (array: Int32Array, index: number): number => array[index] as number;

/** keccak-f[1600] */
function permute(state: Int32Array): void {
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let i = 0; i < 10; i += 1) {
      column[i] = at(state, i) ^ at(state, i + 10) ^ at(state, i + 20) ^ at(state, i + 30) ^ at(state, i + 40);
    }
    for (let x = 0; x < 5; x += 1) {
      const left = 2 * ((x + 4) % 5);
      const right = 2 * ((x + 1) % 5);
      const low = at(column, left) ^ ((at(column, right) << 1) | (at(column, right + 1) >>> 31));
      const high = at(column, left + 1) ^ ((at(column, right + 1) << 1) | (at(column, right) >>> 31));
      for (let lane = 2 * x; lane < 50; lane += 10) {
        state[lane] = at(state, lane) ^ low;
        state[lane + 1] = at(state, lane + 1) ^ high;
      }
    }
    let low = at(state, 2);
    let high = at(state, 3);
    for (let t = 0; t < 24; t += 1) {
      const lane = 2 * at(order, t);
      const shift = at(rotations, t);
      if (shift >= 32) [low, high] = [high, low];
      const bits = shift % 32;
      const nextLow = at(state, lane);
      const nextHigh = at(state, lane + 1);
      state[lane] = bits === 0 ? low : (low << bits) | (high >>> (32 - bits));
      state[lane + 1] = bits === 0 ? high : (high << bits) | (low >>> (32 - bits));
      low = nextLow;
      high = nextHigh;
    }
    for (let start = 0; start < 50; start += 10) {
      for (let i = 0; i < 10; i += 1) row[i] = at(state, start + i);
      for (let i = 0; i < 10; i += 1) {
        state[start + i] = at(row, i) ^ (~at(row, (i + 2) % 10) & at(row, (i + 4) % 10));
      }
    }
    state[0] = at(state, 0) ^ at(constants, 2 * round);
    state[1] = at(state, 1) ^ at(constants, 2 * round + 1);
  }
}

export class Keccak256 {
  readonly #state = new Int32Array(50);
  readonly #padding: number;
  #block = 0;

  /** @param padding 0x06 makes it SHA3-256 */
  constructor({ padding = KECCAK_PADDING }: { readonly padding?: number } = {}) {
    this.#padding = padding;
  }

  update(bytes: Uint8Array): this {
    for (const byte of bytes) {
      this.#absorb(byte);
      if (this.#block === RATE_BYTES) {
        permute(this.#state);
        this.#block = 0;
      }
    }
    return this;
  }

  #absorb(byte: number): void {
    const word = this.#block >> 2;
    this.#state[word] = at(this.#state, word) ^ (byte << (8 * (this.#block & 3)));
    this.#block += 1;
  }

  /** 64 lower-case hex digits; to be asked for once. */
  digestHex(): string {
    assert(this.#block < RATE_BYTES, 'a digest was asked for twice');
    this.#absorb(this.#padding);
    this.#block = RATE_BYTES - 1;
    this.#absorb(0x80);
    permute(this.#state);
    const words = Array.from(this.#state.subarray(0, 8), (word) => {
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(word);
      return bytes.toString('hex');
    });
    return words.join('');
  }
}

/** Keccak-256 of `bytes`, 64 lower-case hex digits. 20 MB take a second, in which nothing else runs. */
export const keccak256Hex = (bytes: Uint8Array): string => new Keccak256().update(bytes).digestHex();
