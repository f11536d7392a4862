/** What a running service says over HTTP, as a probe, a scrape or an operator would read it. */

export interface HttpStatus {
  /** Of `/readyz`. */
  readonly ready: boolean;
  readonly databases: readonly { readonly database: string; readonly destination: string; readonly health: string }[];
  readonly servers: readonly {
    readonly dataDirectory: string;
    readonly destination: string;
    readonly health: string;
  }[];
}

export async function getText(addr: string, path: string): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://${addr}${path}`);
  return { status: answer.status, text: await answer.text() };
}

export async function readiness(addr: string): Promise<HttpStatus> {
  return JSON.parse((await getText(addr, '/readyz')).text) as HttpStatus;
}

/**
 * The values of a metric, by its labels as they are written (`database="…",destination="…"`). `labels` picks those in
 * which each of these texts occurs.
 */
export async function metrics(addr: string, name: string, ...labels: readonly string[]): Promise<Map<string, number>> {
  const { text } = await getText(addr, '/metrics');
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^stdb_replicate_([a-z_]+)\{(.*)\} (\S+)$/.exec(line);
    if (match?.[1] === name && labels.every((label) => match[2]?.includes(label)))
      found.set(match[2] ?? '', Number(match[3]));
  }
  return found;
}

/** The one value of a metric with such labels; null where there is none, or more than one. */
export async function metric(addr: string, name: string, ...labels: readonly string[]): Promise<number | null> {
  const found = [...(await metrics(addr, name, ...labels)).values()];
  return found.length === 1 ? (found[0] ?? null) : null;
}
