/**
 * POSIX through the mount, as the user who tests (root, as a rule), and as an ordinary user on root's mount.
 */
import t from 'tap';
import { isRoot } from '../support/places.js';
import { Cases } from './cases.js';

t.setTimeout(600_000);

const ordinaryUser = 65534;
const cases = await Cases.compile();

const asMe = await cases.passOnBareDirectory('the user who tests');
await cases.passOnMount('a mount', asMe, {});
await cases.passOnMount('a mount beside its directory', asMe, { apart: true });
await cases.passOnMount('a mount that sees every write', asMe, { arguments: ['--every-write'] });
if (isRoot) {
  const asUser = await cases.passOnBareDirectory('an ordinary user', ordinaryUser);
  await cases.passOnMount("root's mount, as an ordinary user", asUser, {}, ordinaryUser);
}
