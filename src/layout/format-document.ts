/** format.json: what kind of backup lies under a prefix. Created once, never changed. */
import { decodeDocument, encodeDocument, FORMAT_VERSION } from './json-document.ts';
import { FORMAT_KEY } from './keys.ts';

const KINDS = ['database', 'server'] as const;

export interface FormatDocument {
  /** `database`: one replica directory. `server`: a whole server data directory. */
  readonly kind: (typeof KINDS)[number];
}

export const encodeFormatDocument = ({ kind }: FormatDocument): Uint8Array =>
  encodeDocument({ format: FORMAT_VERSION, kind });

/** @throws CorruptionError, UnsupportedFormatError */
export function decodeFormatDocument(bytes: Uint8Array): FormatDocument {
  return { kind: decodeDocument(bytes, { key: FORMAT_KEY }).oneOf('kind', KINDS) };
}
