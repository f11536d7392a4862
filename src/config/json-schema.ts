/** The configuration's JSON Schema, for editors: `config/replicate.schema.json`, and `config schema`. */
import { z } from 'zod';
import { optionRegistry } from './option.ts';
import { configSchema, databaseSchema } from './schema.ts';

const TITLE = 'Configuration of stdb-replicate';

export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    target: 'draft-2020-12',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema === databaseSchema) jsonSchema.oneOf = [{ required: ['replica'] }, { required: ['replicas'] }];
      const facts = optionRegistry.get(zodSchema as unknown as z.ZodType);
      if (!facts) return;
      jsonSchema.description = facts.description;
      if (facts.example !== undefined) jsonSchema.examples = [facts.example];
    },
  });
  return { title: TITLE, ...schema };
}
