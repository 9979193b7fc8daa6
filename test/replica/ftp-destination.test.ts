/** The destination that is an FTP server, by the suite of all destinations, against Debian's servers, each set differently. */
import { join } from 'node:path';
import t from 'tap';
import { FtpDestination } from '../../replica/ftp-destination.js';
import { makePlace, removePlace } from '../support/places.js';
import { FtpServer, unlessFtpServers } from '../support/ftp-server.js';
import type { ServerKind, ServerOptions } from '../support/ftp-server.js';
import { testDestination } from './destination-suite.js';

t.setTimeout(120_000);

const skip = await unlessFtpServers();

const servers: readonly (readonly [what: string, kind: ServerKind, options: ServerOptions])[] = [
  ['pure-ftpd, TLS asked for', 'pure-ftpd', {}],
  ['vsftpd, TLS from the first byte, no MLSD, no APPE', 'vsftpd', { security: 'implicit', more: ['cmds_denied=APPE'] }],
  ['proftpd, TLS asked for, no MLSD, no MFMT, no EPSV', 'proftpd', { more: ['FactsAdvertise off', '<Limit MLSD MLST MFMT EPSV>', 'DenyAll', '</Limit>'] }],
  ['proftpd, clear text, goes on with nothing', 'proftpd', { security: 'none', more: ['AllowStoreRestart off', '<Limit APPE>', 'DenyAll', '</Limit>'] }],
];

for (const [what, kind, options] of servers) {
  await t.test(what, { skip }, async (t) => {
    const place = makePlace();
    const server = await FtpServer.start(kind, join(place, 'server'), options);
    t.teardown(async () => {
      await server.stop();
      removePlace(place);
    });
    await testDestination(t, { open: () => FtpDestination.open(server.place()) });
  });
}
