/** How lists are cut, and what counts as a root: what needs no store. */
import t from 'tap';
import { encodeRoot, parseRoot } from '../../replica/s3/layout.js';
import { cutList } from '../../replica/s3/lists.js';

await t.test('a list is cut alike where it is alike', async (t) => {
  const lines = Array.from({ length: 5000 }, (_, index) => `{"path":"directory/file-${index}","size":${index * 7}}\n`);
  const one = [...cutList(Buffer.from(lines.join('')))];
  lines[2000] = 'another\n';
  lines.splice(3000, 1);
  const other = [...cutList(Buffer.from(lines.join('')))];
  t.equal(Buffer.concat(other).toString(), lines.join(''));
  t.ok(one.length > 10, `${one.length} pieces`);
  const known = new Set(one.map((piece) => piece.toString()));
  t.ok(other.filter((piece) => !known.has(piece.toString())).length <= 4);
  t.strictSame([...cutList(Buffer.alloc(0))], []);
  t.equal([...cutList(Buffer.alloc(3_000_000, 'x'))].length, 3, 'one long line is cut, too');
});

await t.test('a root of a newer version, and one with packs of elsewhere, are refused', async (t) => {
  const header = { format: 1, kind: 'backup', volume: 'v', name: 'n', directory: '/d', host: 'h', txid: '1', time: '2026-11-22T07:00:00.000000000Z', names: 'bytes', files: 0, directories: 0, bytes: 0 } as const;
  const piece = { pack: '0'.repeat(64), offset: 0, length: 5, sha256: '1'.repeat(64) };
  const root = { header, sha256: '2'.repeat(64), entries: [piece], packs: [] };
  t.strictSame(parseRoot(encodeRoot(root), 'it'), root);
  t.throws(() => parseRoot(encodeRoot({ ...root, header: { ...header, format: 2 } }), 'it'), /newer tidemark/);
  t.throws(() => parseRoot(encodeRoot({ ...root, entries: [{ ...piece, pack: '../../etc/passwd' }] }), 'it'), /was altered \(it cannot be read\)/);
});
