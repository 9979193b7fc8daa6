/** smb.conf read as Samba reads it, and what is said of a share: tables, without Samba and without a volume. */
import t from 'tap';
import { isShareName, nameFormat, readySection, sectionText, shareName } from '../../tools/samba/ready-section.js';
import { checkShare } from '../../tools/samba/rules.js';
import { sharesOf } from '../../tools/samba/shares.js';
import type { Share } from '../../tools/samba/shares.js';
import { readSmbConf } from '../../tools/samba/smb-conf.js';
import type { SmbConf } from '../../tools/samba/smb-conf.js';

function read(files: Readonly<Record<string, string>>): SmbConf {
  return readSmbConf('main', (path) => files[path]);
}

function valuesOf(conf: SmbConf, name: string): Record<string, string> {
  return Object.fromEntries(sharesOf(conf, undefined).find((share) => share.name === name)?.values ?? []);
}

/** The complete section, some of its lines replaced (undefined: left out) and others added. */
function shareWith(change: Readonly<Record<string, string | undefined>>, more = ''): Share {
  const settings = { ...readySection('data', '/srv/data').settings, ...change };
  const lines = Object.entries(settings).filter(([, value]) => value !== undefined).map(([name, value]) => `${name} = ${value}\n`);
  const [share] = sharesOf(read({ main: `[data]\n${lines.join('')}${more}` }), undefined);
  if (share === undefined) throw new Error('no share');
  return share;
}

void t.test('names compare without case and blanks, comments and continued lines are understood', async (t) => {
  const conf = read({ main: '# a\n; b\n[Global]\n workgroup = W\n[Data]\n  P A T H=/srv\n VFS Objects = one \\\n   two\n Shadow : SnapDir = .x ; y\n no value\n' });
  t.strictSame(valuesOf(conf, 'Data'), { workgroup: 'W', path: '/srv', vfsobjects: 'one two', 'shadow:snapdir': '.x ; y' });
  t.equal(conf.shares.get('data')?.place.line, 5);
  t.strictSame(conf.shares.get('data')?.settings.map(({ place }) => place.line), [6, 7, 9]);
});

void t.test('includes go on where they stand, and the section they end with goes on behind them', async (t) => {
  const conf = read({ main: '[a]\npath = /a\ninclude = more\ncomment = x\ninclude = absent\ninclude = /%m.conf\n[A]\nread only = no\n', more: 'browseable = no\n[b]\npath = /b\n' });
  t.strictSame(valuesOf(conf, 'a'), { path: '/a', browseable: 'no', readonly: 'no' });
  t.strictSame(valuesOf(conf, 'b'), { path: '/b', comment: 'x' });
  t.strictSame(conf.shares.get('b')?.settings.map(({ place }) => `${place.file}:${place.line}`), ['more:3', 'main:4']);
  t.strictSame(conf.unread.map(({ value }) => value), ['/%m.conf']);
  t.doesNotThrow(() => read({ main: '[a]\ninclude = main\n' }), 'a file that includes itself');
  t.throws(() => read({ main: 'x = y\n[\n' }), /main:2: .*name in brackets is missing/);
});

void t.test('[global] holds for all, a copy does not overrule, the last line counts, shares that are off are left out', async (t) => {
  const conf = read({ main: '[global]\nshadow:format = g\n[a]\nvfs object = x\npath = /a\ncomment = 1\n[b]\ncopy = a\ncomment = 2\ncomment = 3\n[off]\navailable = no\n[p]\nprintable = yes\n' });
  t.strictSame(valuesOf(conf, 'b'), { 'shadow:format': 'g', vfsobjects: 'x', copy: 'a', comment: '3' });
  t.strictSame(sharesOf(conf, undefined).map(({ name }) => name), ['a', 'b']);
});

void t.test('what Samba itself says counts, with the lines of the files', async (t) => {
  const files = read({ main: '[a]\npath = /a\ninclude = /%m.conf\n' });
  const [share] = sharesOf(files, read({ main: '[a]\npath = /elsewhere\n[registry]\npath = /r\n' }));
  t.equal(share?.values.get('path'), '/elsewhere');
  t.equal(share?.lines.get('path')?.place.line, 2);
});

void t.test('the printed section is sound', async (t) => {
  const text = sectionText(readySection('my data', '/srv/my data'));
  t.match(text, /^\[my data\]\n {3}path = \/srv\/my data\n/);
  const [share] = sharesOf(read({ main: text }), undefined);
  t.strictSame(share === undefined ? undefined : checkShare(share), []);
});

const faults: readonly [string, Readonly<Record<string, string | undefined>>, RegExp, string][] = [
  ['no module', { 'vfs objects': undefined }, /vfs objects is missing: without shadow_copy2/, 'vfs objects = shadow_copy2'],
  ['other modules', { 'vfs objects': 'catia, fruit' }, /without shadow_copy2/, 'vfs objects = catia fruit shadow_copy2'],
  ['the module twice', { 'vfs objects': 'shadow_copy2 recycle shadow_copy2:x' }, /twice/, 'vfs objects = recycle shadow_copy2'],
  ['a rival', { 'vfs objects': 'snapper shadow_copy2' }, /snapper would answer/, 'vfs objects = shadow_copy2'],
  ['no format', { 'shadow:format': undefined }, /shadow:format is missing: .*lists none/, `shadow:format = ${nameFormat}`],
  ['a format without Z', { 'shadow:format': nameFormat.slice(0, -1) }, /local time/, `shadow:format = ${nameFormat}`],
  ['a format in quotation marks', { 'shadow:format': `"${nameFormat}"` }, /quotation marks/, `shadow:format = ${nameFormat}`],
  ['a format with colons', { 'shadow:format': '@%Y-%m-%dT%H:%M:%SZ' }, /no moment has such a name/, `shadow:format = ${nameFormat}`],
  ['local time', { 'shadow:localtime': 'TRUE' }, /UTC/, 'shadow:localtime = no'],
  ['another directory', { 'shadow:snapdir': '.zfs/snapshot' }, /not where the past is/, 'shadow:snapdir = .snapshots'],
  ['the root\'s directory', { 'shadow:snapdir': '/srv/data/.snapshots' }, /whole volume/, 'shadow:snapdir = .snapshots'],
  ['the root\'s list', { 'shadow:snapdirseverywhere': undefined }, /whole volume/, 'shadow:snapdirseverywhere = yes'],
  ['numbers', { 'shadow:sscanf': 'yes' }, /no numbers/, ''],
  ['a prefix', { 'shadow:snapprefix': '^@' }, /no such prefix/, ''],
  ['a base', { 'shadow:basedir': '/srv/data' }, /contradicts shadow:snapdirseverywhere/, ''],
  ['a foreign mountpoint', { 'shadow:mountpoint': '/srv/dat' }, /does not lie in that directory/, ''],
];

void t.test('each wrong line is named, with what to write', async (t) => {
  for (const [what, change, says, write] of faults) {
    const findings = checkShare(shareWith(change));
    t.equal(findings.length, 1, what);
    t.match(findings[0]?.what, says, what);
    t.equal(findings[0]?.write, write, what);
    t.equal(findings[0]?.kind, 'fault', what);
  }
  t.strictSame(checkShare(shareWith({ 'shadow:mountpoint': '/srv/', 'shadow:snapdir': '.snapshots/', 'shadow:sort': undefined, 'shadow:fixinodes': undefined, 'vfs objects': 'recycle shadow_copy2' })), [], 'what makes no difference is let be');
});

void t.test('lines that contradict each other are named, each way to say yes is the same', async (t) => {
  const [finding, ...others] = checkShare(shareWith({}, 'shadow : FixInodes = 0\n'));
  t.strictSame(others, []);
  t.match(finding?.what, /shadow:fixinodes = yes: line 11 says 0, which counts; keep one of the two/);
  t.equal(finding?.place?.line, 10);
  t.strictSame(checkShare(shareWith({}, 'shadow:fixinodes = TRUE\n')), []);
});

void t.test('what only changes what people see is a note', async (t) => {
  const notes = checkShare(shareWith({ 'veto files': '/.*/', 'wide links': 'yes', 'allow insecure wide links': 'yes', 'force user': 'anna' }));
  t.strictSame(notes.map(({ kind }) => kind), ['note', 'note', 'note']);
  t.strictSame(checkShare(shareWith({ 'veto files': '/*.tmp/.s/', 'wide links': 'yes', 'force user': '' })), []);
});

void t.test('names of shares', async (t) => {
  for (const name of ['data', 'Büro Akten', 'a.b-c_d']) t.ok(isShareName(name), name);
  for (const name of ['', 'homes', 'Global', 'ipc$', 'a/b', '100%', 'a[b', ' a']) t.notOk(isShareName(name), name);
  t.equal(shareName('100% [new]'), '100 new');
  t.equal(shareName('homes'), 'data');
});
