/** POSIX through the driver fuse-native: what a bare directory passes it passes, but for what docs/SEMANTICS.md lists, which must not pass, or the list is out of date. */
import t from 'tap';
import { Cases } from '../posix/cases.js';
import { unlessFuseNative } from '../support/driver.js';

t.setTimeout(300_000);

const alone = 'only the user who mounts may enter';
const times = 'times have milliseconds, none before 1970, and are only set both at once';
const fails = new Map([
  ['a removed directory that is open takes no names', 'directories have no handles'],
  ['O_TMPFILE gets a name by linkat', 'no O_TMPFILE'],
  ['O_TMPFILE with O_EXCL never gets a name', 'no O_TMPFILE'],
  ['names of any bytes', 'names are UTF-8'],
  ['RENAME_NOREPLACE', 'no flags of rename'],
  ['RENAME_EXCHANGE of two files', 'no flags of rename'],
  ['RENAME_EXCHANGE of a file and a directory', 'no flags of rename'],
  ['times are exact to the nanosecond, also before 1970 and after 2038', times],
  ['times set while writes are unsynced win', times],
  ['UTIME_NOW and UTIME_OMIT', times],
  ['times of symlinks and directories', times],
  ['lseek finds data and holes', 'no SEEK_DATA'],
  ['fallocate allocates, with and without KEEP_SIZE', 'no fallocate'],
  ['fallocate punches holes', 'no fallocate'],
  ['fallocate zeroes ranges', 'no fallocate'],
  ['a new file, directory, symlink, FIFO or unnamed file belongs to its caller', alone],
  ['chown by users who may not', alone],
  ['things in a setgid directory get its group', alone],
  ['setgid is not given for a group the creator is not in', alone],
  ['chmod drops setgid for a group the caller is not in', alone],
  ['setuid and setgid are cleared by every way of writing', alone],
  ['setuid and setgid are cleared by chown, but not of directories', alone],
  ['a private file is closed to others in every way', alone],
  ['a directory that others may not write takes nothing from them', alone],
  ['read and search bits of directories', alone],
  ['sticky directories', alone],
  ['supplementary groups count', alone],
  ['trusted attributes, hidden from users', alone],
  ['an ACL lets a named user in', alone],
  ['the mask of an ACL limits, and chmod moves it', alone],
  ['a default ACL is inherited and overrules the umask', 'the umask holds also where there is a default ACL'],
]);
const notTried = [
  // It would wait for another user until it is killed.
  'a permission taken away counts at once',
  // Tens of thousands of requests, of which others say the same.
  'names are removed while they are read', '10,000 names are each listed once, with seekdir and telldir', 'entries tell kind and inode',
];

const skip = unlessFuseNative();
if (skip !== false) t.plan(0, skip);
else {
  const cases = await Cases.compile();
  const bare = await cases.passOnBareDirectory('the user who tests');
  await cases.passOnMount('a mount of the driver fuse-native', bare, { arguments: ['--driver=fuse-native'] }, undefined, { fails, notTried });
}
