/**
 * A flame graph as one SVG, without I/O. Folded stacks and two lines of text come in; a picture goes out that needs no script, no font
 * and no style from outside.
 *
 * Invariants:
 * 1. A box is as wide as its samples are many, and stands above the one that called it; boxes on one caller are never wider together than it.
 * 2. What is narrower than the least share is left out, with all that it calls. The share grows until the picture is small enough.
 * 3. All text is escaped; the whole name is each box's <title>, which browsers show under the pointer.
 */
const width = 1_200;
const margin = 10;
const rowHeight = 16;
const headHeight = 64;
/** Of a monospaced font of 11 pixels, a little more than the widest in use. */
const letterWidth = 6.8;

export interface Picture {
  readonly title: string;
  readonly subtitle: string;
  /** Of all samples: boxes of less are left out. */
  readonly leastShare: number;
  /** Of the whole picture, about: the picture is a little larger only when nothing can be left out any more. */
  readonly mostBytes: number;
}

interface Box {
  readonly name: string;
  count: number;
  readonly callees: Map<string, Box>;
}

/** @param stacks frames joined by semicolons → samples */
export function draw(stacks: ReadonlyMap<string, number>, picture: Picture): string {
  const root = boxesOf(stacks);
  for (let share = picture.leastShare; ; share = Math.max(share * 1.3, 0.0005)) {
    const text = drawWith(root, share, picture);
    if (Buffer.byteLength(text) <= picture.mostBytes || share > 1) return text;
  }
}

function boxesOf(stacks: ReadonlyMap<string, number>): Box {
  const root: Box = { name: 'all_[o]', count: 0, callees: new Map() };
  for (const [stack, count] of stacks) {
    let box = root;
    box.count += count;
    for (const name of stack.split(';')) {
      const next = box.callees.get(name) ?? { name, count: 0, callees: new Map<string, Box>() };
      next.count += count;
      box.callees.set(name, next);
      box = next;
    }
  }
  return root;
}

function drawWith(root: Box, share: number, { title, subtitle }: Picture): string {
  const least = Math.max(root.count * share, Number.MIN_VALUE);
  const height = headHeight + depthOf(root, least) * rowHeight + margin;
  const boxes: string[] = [];
  const visit = (box: Box, x: number, level: number): void => {
    if (box.count < least) return;
    boxes.push(drawBox(box, { x, y: height - margin - (level + 1) * rowHeight, total: root.count }));
    let calleeX = x;
    for (const callee of box.callees.values()) {
      visit(callee, calleeX, level + 1);
      calleeX += widthOf(callee, root.count);
    }
  };
  visit(root, margin, 0);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<style>${style}</style>`,
    // A ground of its own: the page below may be light or dark.
    `<rect width="${width}" height="${height}" rx="6" fill="#fcfcfa"/>`,
    `<text class="head" x="${margin}" y="22">${escape(title)}</text><text x="${margin}" y="39">${escape(subtitle)}</text>`,
    ...legend(),
    ...boxes,
    '</svg>\n',
  ].join('\n');
}

const style = `text{font:11px ui-monospace,"DejaVu Sans Mono",monospace;fill:#1c1c1c}.head{font-size:15px;font-weight:bold}`
  + `g rect{stroke:#fcfcfa;stroke-width:.6}.o{fill:#c9cdd2}.k{fill:#9cc3e6}.j{fill:#a9d39a}.c{fill:#f2b880}`;

function legend(): string[] {
  const kinds = [['k', 'kernel'], ['c', 'C and C++'], ['j', 'JavaScript'], ['o', 'whose work it is']] as const;
  return kinds.map(([kind, text], index) => {
    const x = margin + index * 110;
    return `<g><rect class="${kind}" x="${x}" y="47" width="11" height="11"/><text x="${x + 16}" y="56">${text}</text></g>`;
  });
}

/** How many rows of boxes are drawn. */
function depthOf(box: Box, least: number): number {
  if (box.count < least) return 0;
  return 1 + Math.max(0, ...[...box.callees.values()].map((callee) => depthOf(callee, least)));
}

function widthOf(box: Box, total: number): number {
  return total === 0 ? 0 : ((width - 2 * margin) * box.count) / total;
}

function drawBox(box: Box, { x, y, total }: { x: number; y: number; total: number }): string {
  const boxWidth = widthOf(box, total);
  const name = box.name.replace(/_\[[okj]\]$/, '');
  const share = total === 0 ? 0 : (100 * box.count) / total;
  const letters = Math.floor((boxWidth - 4) / letterWidth);
  const shown = name.length <= letters ? name : `${name.slice(0, letters - 1)}…`;
  const text = letters >= 3 ? `<text x="${short(x + 3)}" y="${y + 12}">${escape(shown)}</text>` : '';
  const rect = `<rect class="${kindOf(box.name)}" x="${short(x)}" y="${y}" width="${short(boxWidth)}" height="${rowHeight - 1}"/>`;
  return `<g><title>${escape(name)}: ${box.count} samples, ${share.toFixed(1)} %</title>${rect}${text}</g>`;
}

/** By the marks of fold.ts. */
function kindOf(name: string): string {
  return /_\[([okj])\]$/.exec(name)?.[1] ?? 'c';
}

function short(value: number): string {
  return String(Number(value.toFixed(2)));
}

function escape(text: string): string {
  const printable = text.replace(/[\u0000-\u001f\u007f]/g, '?');
  return printable.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
