/** One metric: its name and words, and what gives its samples when somebody scrapes. */
import { Counter, Gauge, type Registry } from 'prom-client';

export type Labels = Readonly<Record<string, string>>;
export type Sample = readonly [labels: Labels, value: number];

export interface MetricDefinition {
  readonly name: string;
  readonly help: string;
  readonly kind: 'gauge' | 'counter';
  readonly labels: readonly string[];
  readonly samples: () => readonly Sample[] | Promise<readonly Sample[]>;
}

export function registerMetric(registry: Registry, { name, help, kind, labels, samples }: MetricDefinition): void {
  const base = { name: `stdb_replicate_${name}`, help, labelNames: [...labels], registers: [registry] };
  if (kind === 'gauge') {
    const gauge = new Gauge({
      ...base,
      async collect() {
        this.reset();
        for (const [labelled, value] of await samples()) gauge.set(labelled, value);
      },
    });
    return;
  }
  // The engines hold the totals: a scrape replaces what the last one showed.
  const counter = new Counter({
    ...base,
    async collect() {
      this.reset();
      for (const [labelled, value] of await samples()) counter.inc(labelled, value);
    },
  });
}
