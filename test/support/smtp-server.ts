/**
 * An SMTP server on the loopback for tests: takes mail for one user and password, and shows what it got. In: connections. Out: messages.
 *
 * Invariants:
 * 1. A message counts only when the client had logged in (where a password is asked for) and was told that it is taken.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

export interface ReceivedMail {
  readonly from: string;
  readonly to: string;
  /** Header and body, as they came. */
  readonly data: string;
}

export class SmtpServer {
  readonly received: ReceivedMail[] = [];
  readonly #server: Server;
  readonly #login: { readonly user: string; readonly password: string } | undefined;

  private constructor(login: { readonly user: string; readonly password: string } | undefined) {
    this.#login = login;
    this.#server = createServer((socket) => { this.#serve(socket); });
  }

  static async start(login?: { readonly user: string; readonly password: string }): Promise<SmtpServer> {
    const server = new SmtpServer(login);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
  }

  #serve(socket: Socket): void {
    let text = '';
    let data: string | undefined;
    const mail = { from: '', to: '' };
    let isLoggedIn = this.#login === undefined;
    const say = (line: string): void => void socket.write(`${line}\r\n`);
    const command = (line: string): void => {
      const [verb = ''] = line.split(' ', 1);
      if (verb === 'EHLO') say(this.#login === undefined ? '250 test' : '250-test\r\n250 AUTH PLAIN');
      else if (verb === 'AUTH') {
        isLoggedIn = Buffer.from(line.split(' ')[2] ?? '', 'base64').toString() === `\0${this.#login?.user}\0${this.#login?.password}`;
        say(isLoggedIn ? '235 welcome' : '535 wrong password');
      } else if (verb === 'MAIL') {
        mail.from = line;
        say(isLoggedIn ? '250 well' : '530 log in first');
      } else if (verb === 'RCPT') {
        mail.to = line;
        say(line.includes('nobody@') ? '550 no such user' : '250 well');
      } else if (verb === 'DATA') {
        data = '';
        say('354 go on');
      } else if (verb === 'QUIT') socket.end('221 bye\r\n');
      else say('500 what?');
    };
    say('220 test');
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      for (let end = text.indexOf('\r\n'); end >= 0; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        if (data === undefined) command(line);
        else if (line !== '.') data += `${line}\n`;
        else {
          this.received.push({ ...mail, data });
          data = undefined;
          say('250 taken');
        }
      }
    });
  }
}
