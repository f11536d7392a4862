/** Writes generation.json, which counts for nothing until head.json names it. */
import { encodeGenerationDocument, type GenerationDocument } from '../layout/generation-document.ts';
import { generationKey } from '../layout/keys.ts';
import type { ReplicaClient } from '../replica/replica-client.ts';
import type { LeaseMode } from './lease-mode.ts';

/** @throws PreconditionFailedError where one of that name is there, which its random part makes next to impossible */
export async function writeGeneration(
  client: ReplicaClient,
  document: GenerationDocument,
  { mode, signal }: { mode: LeaseMode; signal?: AbortSignal | undefined },
): Promise<void> {
  const ifAbsent = mode === 'exclusive';
  await client.put(generationKey(document.generation), encodeGenerationDocument(document), { ifAbsent, signal });
}
