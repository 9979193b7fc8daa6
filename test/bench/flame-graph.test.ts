/** Flame graphs: every sample is in its place, and the picture tells the truth about how many there were. */
import t from 'tap';
import { draw } from '../../bench/flame/draw.js';
import { fold } from '../../bench/flame/fold.js';
import { frameName } from '../../bench/flame/frame-name.js';

const cast = { daemonPid: 50, benchPid: 10, perfPid: 11 };
const picture = { title: 'work', subtitle: 'samples', leastShare: 0, mostBytes: 150_000 };

const script = `swapper 0/0 PERF_RECORD_FORK(2:2):(0:0)
kthreadd 2/2 PERF_RECORD_FORK(7:7):(2:2)
node 10/10 PERF_RECORD_FORK(20:20):(10:10)
node 10/10 PERF_RECORD_FORK(11:11):(10:10)
node 50/50 PERF_RECORD_FORK(50:52):(50:50)
tar  21/21  PERF_RECORD_FORK(21:21):(20:20)
node 50/52
\tffffffff81a00001 ext4_sync_file ([kernel.kallsyms])
\tffffffff81a00002 do_syscall_64 ([kernel.kallsyms])
\t           fec4a fdatasync (/usr/lib/libc.so.6)
\t           54f95 tidemark::Session::readLoop (/x/tidemark.node (deleted))
\t           d44a3 [unknown] (/usr/lib/libstdc++.so.6)

node 50/52
\t           54f00 tidemark::crc32c (/x/tidemark.node)

node 50/53
\t           54f00 tidemark::Log::completerLoop (/x/tidemark.node)

tidemark: /var/ 50/50
\t    7f0000000001 JS:~list file:///x/fs/list.js:12:3 (/tmp/perf-50.map)
\t    7f0000000001 JS:~list file:///x/fs/list.js:12:3 (/tmp/perf-50.map)
\t          c494db v8::internal::(anonymous namespace)::Invoke (/usr/bin/node)

tar 21/21
\tffffffff81a00001 fuse_open ([fuse])

tar 21/21
\tffffffff81a00001 fuse_open ([fuse])

kworker/0:1H-kb 7/7

swapper 0/0
\tffffffff81a00001 default_idle ([kernel.kallsyms])

node 10/10
\t          c494db main (/usr/bin/node)

perf 11/11
\t          c494db main (/usr/bin/perf)

stranger 99/99
\t          c494db main (/bin/stranger)
`;

t.test('each sample goes to whose work it is, outermost function first', async (t) => {
  t.strictSame([...fold(script.split('\n'), cast).stacks], [
    ['daemon: readers_[o];Session::readLoop;fdatasync;ext4_sync_file_[k]', 1],
    ['daemon: readers_[o];crc32c', 1],
    ['daemon: log_[o];Log::completerLoop', 1],
    ['daemon: JavaScript_[o];v8::Invoke;list list.js:12_[j]', 1],
    ['application_[o];tar_[o];fuse_open_[k]', 2],
    ['kernel threads_[o];kworker_[o]', 1],
  ]);
});

t.test('idle processors, strangers and the benchmark itself are counted apart', async (t) => {
  t.match(fold(script.split('\n'), cast), { idleCount: 1, otherCount: 3 });
});

t.test('a script that ends in the middle of a stack still counts it', async (t) => {
  const { stacks } = fold(['tar 10/10', 'node 20/20', '\tff main (/bin/x)'], { ...cast, daemonPid: 20 });
  t.strictSame([...stacks], [['daemon: JavaScript_[o];main', 1]]);
});

t.test('names are short, and tell who made the function', async (t) => {
  const named = (symbol: string, file = '/bin/x'): string | undefined => frameName(`\t ffff ${symbol} (${file})`);
  t.equal(named('std::map<int, std::vector<int> >::find(int const&) const'), 'std::map::find');
  t.equal(named('ext4_fsync.constprop.0', '[kernel.kallsyms]'), 'ext4_fsync_[k]');
  t.equal(named('clock_gettime', '[vdso]'), 'clock_gettime');
  t.equal(named('JS:* node:internal/fs:1:1'), '(anonymous) fs:1_[j]');
  t.equal(named('a;b'), 'a:b');
  t.equal(named('[unknown]'), undefined);
  t.ok((named('x'.repeat(500)) ?? '').length <= 70);
});

interface Rect {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

/** The boxes, without those of the legend. */
function rects(svg: string): Rect[] {
  const found = svg.matchAll(/<g><title>.*?<rect class="." x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"/g);
  return [...found].map(([, x, y, width]) => ({ x: Number(x), y: Number(y), width: Number(width) }));
}

t.test('the widths of boxes add up to that of their caller', async (t) => {
  const svg = draw(new Map([['a;b', 1], ['a;c', 2], ['d', 3], ['d;e', 4]]), picture);
  const rows = grouped(rects(svg));
  const widths = [...rows].sort(([a], [b]) => b - a).map(([, row]) => row.reduce((sum, { width }) => sum + width, 0));
  t.strictSame(widths.map(Math.round), [1_180, 1_180, 826], 'all; a and d; b, c and e');
  t.strictSame(rects(svg).map(({ x }) => x), [10, 10, 10, 128, 364, 364], 'a callee stands above its caller');
});

function grouped(boxes: readonly Rect[]): Map<number, Rect[]> {
  const rows = new Map<number, Rect[]>();
  for (const box of boxes) rows.set(box.y, [...(rows.get(box.y) ?? []), box]);
  return rows;
}

t.test('what is too narrow is left out, and more of it until the picture is small enough', async (t) => {
  const stacks = new Map(Array.from({ length: 200 }, (_, index) => [`function-${index}`, Math.round(1.05 ** index)] as const));
  t.equal(rects(draw(stacks, { ...picture, leastShare: 0.5 })).length, 1);
  const svg = draw(stacks, { ...picture, mostBytes: 20_000 });
  t.ok(Buffer.byteLength(svg) <= 20_000);
  t.ok(rects(svg).length > 50);
});

t.test('the picture is well-formed, whatever functions are called', async (t) => {
  const svg = draw(new Map([['operator<<"&\u0001', 1]]), { ...picture, title: 'a < b & c' });
  t.match(svg, 'operator&lt;&lt;&quot;&amp;?');
  t.match(svg, 'a &lt; b &amp; c');
  const open: string[] = [];
  for (const [, end, name, empty] of svg.matchAll(/<(\/?)(\w+)(?:\s+\w+="[^"<&]*")*\s*(\/?)>/g)) {
    if (end) t.equal(open.pop(), name);
    else if (!empty) open.push(name!);
  }
  t.strictSame(open, []);
  t.notMatch(svg.replace(/<(\/?)(\w+)(?:\s+[\w]+="[^"<]*")*\s*(\/?)>/g, ''), /[<>]|&(?!lt;|gt;|amp;|quot;)/, 'nothing but text remains');
});

t.test('no samples make an empty picture', async (t) => {
  t.strictSame(rects(draw(new Map(), picture)), []);
});
