/** mountinfo is read as the kernel writes it. */
import t from 'tap';
import { isOurs, parseMountInfo } from '../../tools/mounts.js';

t.test('fields, optional fields and escapes', async (t) => {
  const [plain, ours] = parseMountInfo(
    '36 35 98:0 / /mnt rw,noatime master:1 propagate_from:2 - ext4 /dev/root ro,errors=continue\n' +
      '99 36 0:51 / /home/a\\040b/caf\\303\\251 rw,nosuid - fuse.tidemark /home/a\\040b rw,user_id=0\n\n',
  );
  t.match(plain, { mountId: '36', device: '98:0', path: '/mnt', type: 'ext4', source: '/dev/root' });
  t.ok(plain?.options.includes('ro'));
  t.match(ours, { mountId: '99', path: '/home/a b/café', source: '/home/a b' });
  t.ok(ours !== undefined && isOurs(ours));
  t.notOk(plain !== undefined && isOurs(plain));
});
