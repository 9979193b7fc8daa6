/**
 * How figures grow with the history, as one SVG, without I/O: both scales logarithmic, a line for each figure, its limit dashed in the same colour. Results come in; a picture
 * goes out that needs no script, no font and no style from outside.
 *
 * Invariants:
 * 1. Every point is a circle with the value as its <title>, which browsers show under the pointer; the table beside the picture has the same numbers.
 */
import { figures } from './figures.js';
import type { FigureKey, ScaleResults } from './figures.js';

const [width, height] = [960, 560];
const plot = { left: 70, right: 690, top: 70, bottom: 500 };
/** Milliseconds at the bottom and at the top. */
const [least, most] = [0.05, 20_000];

interface Line {
  readonly key: FigureKey;
  readonly label: string;
  readonly colour: string;
}

const lines: readonly Line[] = [
  { key: 'mountKilled', label: 'mount after kill -9', colour: '#8c2d19' },
  { key: 'mount', label: 'mount after a clean stop', colour: '#d9722b' },
  { key: 'logNote', label: 'tidemark log, 1,000 versions', colour: '#1f5f8b' },
  { key: 'log', label: 'tidemark log, 10 versions', colour: '#4a9bd1' },
  { key: 'listDirectory', label: '.snapshots of a directory', colour: '#2f7d3b' },
  { key: 'listRoot', label: '.snapshots of the root', colour: '#7fb84c' },
  { key: 'resolveBelow', label: 'a moment resolved', colour: '#7a4ea3' },
];

const style = 'text{font:12px ui-sans-serif,"DejaVu Sans",sans-serif;fill:#1c1c1c}.head{font-size:16px;font-weight:bold}.small{fill:#666;font-size:11px}'
  + '.grid{stroke:#e3e3de;stroke-width:1}.line{fill:none;stroke-width:2.2}.limit{stroke-width:1;stroke-dasharray:5 4;opacity:.7}';

/** At least two sizes, in growing order. */
export function drawScale({ sizes, machine, measuredAt }: ScaleResults): string {
  const transactions = sizes.map((size) => size.transactions);
  const x = (count: number): number => between(plot.left, plot.right, (Math.log10(count) - Math.log10(transactions[0]!)) / (Math.log10(transactions.at(-1)!) - Math.log10(transactions[0]!)));
  const places = labelPlaces(lines.map(({ key }) => y(sizes.at(-1)!.figures[key])));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<style>${style}</style>`,
    // A ground of its own: the page below may be light or dark.
    `<rect width="${width}" height="${height}" rx="6" fill="#fcfcfa"/>`,
    '<text class="head" x="20" y="28">Time by length of the history</text>',
    `<text class="small" x="20" y="47">${measuredAt.slice(0, 10)}, ${escape(machine)}; dashed: what has to be reached</text>`,
    ...grid(transactions, x),
    ...lines.flatMap((line, index) => drawLine(line, sizes, x, places[index]!)),
    `<text class="small" x="${(plot.left + plot.right) / 2}" y="${plot.bottom + 42}" text-anchor="middle">transactions (a tenth as many files, 10 KB of history each)</text>`,
    '</svg>\n',
  ].join('\n');
}

function grid(transactions: readonly number[], x: (count: number) => number): string[] {
  const drawn: string[] = [];
  for (let power = Math.ceil(Math.log10(least)); power <= Math.log10(most); power++) {
    const at = short(y(10 ** power));
    drawn.push(`<line class="grid" x1="${plot.left}" x2="${plot.right}" y1="${at}" y2="${at}"/><text x="${plot.left - 8}" y="${at + 4}" text-anchor="end">${duration(10 ** power)}</text>`);
  }
  for (const count of transactions) {
    const at = short(x(count));
    drawn.push(`<line class="grid" x1="${at}" x2="${at}" y1="${plot.top}" y2="${plot.bottom}"/><text x="${at}" y="${plot.bottom + 20}" text-anchor="middle">${count.toLocaleString('en-GB')}</text>`);
  }
  return drawn;
}

function drawLine({ key, label, colour }: Line, sizes: ScaleResults['sizes'], x: (count: number) => number, labelY: number): string[] {
  const points = sizes.map(({ transactions, figures: of }) => ({ x: short(x(transactions)), y: short(y(of[key])), title: `${label}, ${transactions.toLocaleString('en-GB')} transactions: ${duration(of[key])}` }));
  const below = figures.find((figure) => figure.key === key) as { readonly below?: number } | undefined;
  const limit = below?.below === undefined ? [] : [`<line class="limit" stroke="${colour}" x1="${plot.left}" x2="${plot.right}" y1="${short(y(below.below))}" y2="${short(y(below.below))}"/>`];
  return [
    ...limit,
    `<polyline class="line" stroke="${colour}" points="${points.map((point) => `${point.x},${point.y}`).join(' ')}"/>`,
    ...points.map((point) => `<circle cx="${point.x}" cy="${point.y}" r="4" fill="${colour}"><title>${escape(point.title)}</title></circle>`),
    `<text x="${plot.right + 14}" y="${short(labelY + 4)}" style="fill:${colour}">${escape(label)}: ${duration(sizes.at(-1)!.figures[key])}</text>`,
  ];
}

/** Where labels stand so that none covers another: as near to their lines as may be, in their order. */
function labelPlaces(wanted: readonly number[]): number[] {
  const apart = 17;
  const order = wanted.map((at, index) => ({ at, index })).sort((a, b) => a.at - b.at);
  const places: number[] = [];
  let next = plot.top;
  for (const { at, index } of order) {
    places[index] = Math.max(at, next);
    next = places[index]! + apart;
  }
  return places;
}

function y(ms: number): number {
  const part = (Math.log10(Math.min(Math.max(ms, least), most)) - Math.log10(least)) / (Math.log10(most) - Math.log10(least));
  return between(plot.bottom, plot.top, part);
}

function between(from: number, to: number, part: number): number {
  return from + (to - from) * part;
}

export function duration(ms: number): string {
  if (ms >= 1000) return `${Number((ms / 1000).toPrecision(3))} s`;
  return `${Number(ms.toPrecision(ms >= 100 ? 3 : 2))} ms`;
}

function short(value: number): number {
  return Number(value.toFixed(1));
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
