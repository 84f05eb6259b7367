import t from 'tap';
import { command, startProgram } from '../support/command.js';
import { udpSend, udpSink } from '../support/net.js';
import { noPty, onTerminal, Pty } from '../support/pty.js';
import { until } from '../support/wait.js';

/** What a terminal shows after these bytes: lines, the movements that Messages uses, and no more. */
function screen(output: string): string[] {
  const lines = [''];
  let at = 0;
  const text = output.replaceAll('\x1b', '<ESC>');
  for (const [part] of text.matchAll(/<ESC>\[(\d+)A|<ESC>\[J|\r|\n|[^<\r\n]+/g)) {
    const [, rows] = /^<ESC>\[(\d+)A/.exec(part) ?? [];
    if (rows) at -= Number(rows);
    else if (part === '<ESC>[J') lines.splice(at, lines.length, '');
    else if (part === '\n') lines[++at] ??= '';
    else if (part !== '\r') lines[at] += part;
  }
  return lines;
}

t.test(
  'on a terminal --stats is a table that stays in place, below the messages',
  { skip: noPty },
  async (t) => {
    const sink = await udpSink(t);
    const pty = await Pty.open(t, 'plain');
    const args = ['--stats', '0.1', '--udp-listen-addr', '127.0.0.1:0'];
    const to = ['--udp-downstream-addr', `127.0.0.1:${sink.port}`];
    const forward = startProgram(t, ...onTerminal(pty, 2, command('forward', [...args, ...to])));
    const port = () => /listening: udp 127\.0\.0\.1:(\d+)/.exec(String(pty.output))?.[1];
    await until('it listens', () => port() !== undefined);
    await udpSend(Number(port()), ['one\n', 'two\n']);
    const rows = () => screen(String(pty.output));
    const row = (name: string) => rows().find((line) => line.startsWith(name));
    await until('both are in the table', () => / 2 +8 B/.test(row('-> ') ?? ''));
    t.match(row('127.0.0.1:0 '), /^127\.0\.0\.1:0 +\d+ +\d+\.\d +2 +8 B/);
    const drawn = () => String(pty.output).split('datagrams/s').length;
    const before = drawn();
    await until('it is drawn again and again', () => drawn() > before + 5);
    t.equal(await forward.stop(), 0);
    t.equal(rows().filter((line) => line.includes('datagrams/s')).length, 1, 'one table');
    const messages = rows().findIndex((line) => line.includes('datagrams/s'));
    t.ok(
      rows()
        .slice(0, messages)
        .every((line) => line.startsWith('mproxy-forward: ')),
      rows().join('\n'),
    );
  },
);
