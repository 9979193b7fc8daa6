/** Paths keep every byte, print on one line and say in JSON what text would lose. */
import t from 'tap';
import { bytePath, bytesOf, fromText, isWithin, joinPath, jsonPath, nameOf, parentOf, relativeTo, shown, toText } from '../../tools/byte-path.js';
import { withoutSnapshot } from '../../tools/locate.js';

const latin1Name = bytePath(Buffer.from([0x2f, 0x63, 0x61, 0x66, 0xe9]));

t.test('no byte is lost', async (t) => {
  const all = Buffer.from(Array.from({ length: 255 }, (_, index) => index + 1));
  t.ok(bytesOf(bytePath(all)).equals(all));
  t.equal(toText(fromText('/café')), '/café');
  t.equal(toText(latin1Name), undefined);
});

t.test('what people see is one line and unmistakable', async (t) => {
  t.equal(shown(fromText('/café')), '/café');
  t.equal(shown(latin1Name), '/caf\\xe9');
  t.equal(shown(fromText('/a\nb')), '/a\\x0ab');
  t.equal(shown(fromText('/a\\x0ab')), '/a\\\\x0ab');
  t.equal(shown(fromText('/\u001b[31mred')), '/\\x1b[31mred');
});

t.test('JSON has the bytes where text would lose them', async (t) => {
  t.strictSame(jsonPath(fromText('/café')), { path: '/café' });
  t.strictSame(jsonPath(latin1Name), { path: '/caf\ufffd', pathHex: '2f636166e9' });
});

t.test('paths are taken apart and put together by bytes', async (t) => {
  t.equal(joinPath(fromText('/a'), nameOf(latin1Name)), bytePath(Buffer.from('2f612f636166e9', 'hex')));
  t.equal(parentOf(fromText('/a/b')), '/a');
  t.ok(isWithin('/a/b', '/a'));
  t.ok(isWithin('/a', '/a'));
  t.notOk(isWithin('/ab', '/a'));
  t.ok(isWithin('/a', '/'));
  t.equal(relativeTo(fromText('/a/b/c'), fromText('/a')), '/b/c');
  t.equal(relativeTo(fromText('/a'), fromText('/a')), '/');
  t.equal(relativeTo(fromText('/a'), fromText('/')), '/a');
});

t.test('a path below .snapshots speaks of the live path', async (t) => {
  t.equal(withoutSnapshot(fromText('/.snapshots/@5m/a/b')), '/a/b');
  t.equal(withoutSnapshot(fromText('/a/.snapshots/@5m/b')), '/a/b');
  t.equal(withoutSnapshot(fromText('/.snapshots/@5m')), '/');
  t.equal(withoutSnapshot(fromText('/.snapshots')), '/');
  t.equal(withoutSnapshot(fromText('/a/b')), '/a/b');
});
