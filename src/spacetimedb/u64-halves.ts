/** u64 as two unsigned 32-bit numbers: exact above 2^53, and without the allocation that each bigint is. */

export const TWO_32 = 0x1_0000_0000;

export const lowHalf = (value: bigint): number => Number(value & 0xffff_ffffn);
export const highHalf = (value: bigint): number => Number(value >> 32n);
export const joinHalves = (hi: number, lo: number): bigint => (BigInt(hi) << 32n) | BigInt(lo);
