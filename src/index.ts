/**
 * Public: restoring and replicating from a program of one's own. Stores are opened by `stdb-replicate/replica`.
 * Until 1.0 this surface may change with each minor release; what lies in the store may not.
 */
export { ByteBudget } from './core/byte-budget.ts';
export { type Clock, systemClock } from './core/clock.ts';
export * from './core/errors.ts';
export { type Log, silentLog } from './core/log.ts';
export { diskFiles, type ReadableFiles } from './core/readable-files.ts';
export type { DatabaseStatus, StoreCounters, TimedPosition } from './core/status.ts';
export { type Crc32c, type Micros, type Position, type TxOffset, txOffset } from './core/types.ts';
export { Replicator, type ReplicatorOptions } from './replicate/replicator.ts';
export { identifyWriter, type Writer } from './replicate/writer.ts';
export { type RestoreOptions, type RestoreProgress, type RestoreReport, restore } from './restore/restore.ts';
