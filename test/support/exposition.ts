/**
 * Reads Prometheus text (format 0.0.4) as strictly as its reader does. Text comes in; its series go out, or an Error that names the first line that is wrong.
 *
 * Invariants:
 * 1. Every line is a HELP, a TYPE, a sample or empty; a sample's metric has been given its type before, and no series comes twice.
 */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All samples, in their order. Throws when a line cannot be read. */
export function parseExposition(text: string): Sample[] {
  const types = new Map<string, string>();
  const seen = new Set<string>();
  const samples: Sample[] = [];
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line has no end');
  for (const line of text.split('\n').slice(0, -1)) {
    if (line === '' || /^# HELP [a-zA-Z_:][a-zA-Z0-9_:]* \S.*$/.test(line)) continue;
    const type = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (type !== null) {
      if (types.has(type[1] ?? '')) throw new Error(`a second type: ${line}`);
      types.set(type[1] ?? '', type[2] ?? '');
      continue;
    }
    const sample = parseSample(line);
    const base = types.has(sample.name) ? sample.name : sample.name.replace(/_(bucket|sum|count)$/, '');
    if (!types.has(base) || (base !== sample.name && types.get(base) !== 'histogram')) throw new Error(`of no type: ${line}`);
    const series = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
    if (seen.has(series)) throw new Error(`twice: ${line}`);
    seen.add(series);
    samples.push(sample);
  }
  return samples;
}

function parseSample(line: string): Sample {
  const [, name = '', inside = '', value = ''] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)\{(.*)\} (\+Inf|-?[0-9.]+(?:e[+-]?[0-9]+)?)$/.exec(line) ?? [];
  if (name === '') throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(,|$)/y;
  while (label.lastIndex < inside.length) {
    const found = label.exec(inside);
    if (found === null) throw new Error(`not labels: ${line}`);
    labels[found[1] ?? ''] = (found[2] ?? '').replace(/\\(.)/g, (_, letter: string) => (letter === 'n' ? '\n' : letter));
  }
  return { name, labels, value: value === '+Inf' ? Infinity : Number(value) };
}

/** The value of the one series with this name and at least these labels. Throws when there is none, or are several. */
export function sampleOf(samples: readonly Sample[], name: string, labels: Readonly<Record<string, string>> = {}): number {
  const found = samples.filter((sample) => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value));
  if (found.length !== 1 || found[0] === undefined) throw new Error(`${found.length} series ${name}${JSON.stringify(labels)}`);
  return found[0].value;
}
