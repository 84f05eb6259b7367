import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type About, flagGroups } from 'mproxy-command';
import t, { type Test } from 'tap';
import { readAbouts, texts } from '../../manual/texts.js';
import { missing } from '../lan/tools.js';
import { standIn, Terminal } from './terminal.js';

const abouts = await readAbouts();

/** What is typed behind a command, with tabs, and the arguments that it becomes. */
const CASES: Record<string, [typed: string, args: string][]> = {
  'mproxy-client': [
    ['--serv\tx', '[--server-addr][x]'],
    ['--fra\tmo\t', '[--frame][mold]'],
    ['--frame=mo\t', '[--frame=mold]'],
    ['--path a\t', '[--path][a file]'],
    ['-t --eng\tli\t', '[-t][--engine][linux]'],
    ['--interf\tlo\t', '[--interface][lo]'],
    ['--loop=n\t', '[--loop=no]'],
    ['--stats --qu\t', '[--stats][--quiet]'],
  ],
  'mproxy-server': [['--listen-addr 127.0.0.1:9920 --mer\t', '[--listen-addr][127.0.0.1:9920][--merge]']],
  'mproxy-forward': [['--tls-ca a\t --idle\tx', '[--tls-ca][a file][--idle-timeout][x]']],
  'mproxy-gateway': [
    ['--conf\ta\t --che\t', '[--config][a file][--check]'],
    ['--log-f\tcom\t', '[--log-format][combined]'],
    ['--port-e\t--run x', '[--port-encoding][--run][x]'],
  ],
  'mproxy-reverse': [['--tls-cert a\t --tls-cert a\t', '[--tls-cert][a file][--tls-cert][a file]']],
};

/** A folder with the completions of all commands, a stand-in for each command, and a file with a blank in its name. */
function folder(t: Test): string {
  const cwd = t.testdir({ 'a file': '' });
  mkdirSync(join(cwd, 'completions'));
  mkdirSync(join(cwd, 'man'));
  for (const about of abouts) {
    standIn(cwd, about.name);
    for (const [path, text] of Object.entries(texts(about, abouts))) writeFileSync(join(cwd, path), text);
  }
  return cwd;
}

function flagsOf(about: About): string[] {
  return flagGroups(about).flatMap(([, group]) => group.map((flag) => flag.name));
}

async function completes(t: Test, terminal: Terminal): Promise<void> {
  for (const [name, cases] of Object.entries(CASES)) {
    for (const [typed, args] of cases)
      t.equal(apart(await terminal.completed(`${name} ${typed}`)), apart(args), JSON.stringify(typed));
  }
}

/** A shell may put either of `--flag value` and `--flag=value`. */
function apart(args: string): string {
  return args.replaceAll('=', '][');
}

const noBash = missing('bash') || missing('script');
t.test('an interactive bash completes flags, words, files and interfaces', { skip: noBash }, async (t) => {
  const terminal = new Terminal(t, 'bash --norc --noprofile -i', folder(t));
  await terminal.type('for file in completions/*.bash; do . $file; done');
  await completes(t, terminal);
});

t.test('bash offers every flag of each command', { skip: missing('bash') }, (t) => {
  const cwd = folder(t);
  for (const about of abouts) {
    const call = `_${about.name.replaceAll('-', '_')}`;
    const line = `. completions/${about.name}.bash; COMP_WORDS=(${about.name} --) COMP_CWORD=1; ${call}; echo "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', line], { cwd, encoding: 'utf8' });
    t.equal(stderr, '');
    t.strictSame(stdout.trim().split(' '), flagsOf(about), about.name);
  }
  t.end();
});

const noZsh = missing('zsh') || missing('script');
t.test('an interactive zsh completes flags, words, files and interfaces', { skip: noZsh }, async (t) => {
  const terminal = new Terminal(t, 'zsh -f -i', folder(t));
  await terminal.type('fpath=($PWD/completions $fpath); autoload -Uz compinit; compinit -u -D');
  await completes(t, terminal);
});

t.test('fish offers every flag, words, files and interfaces', { skip: missing('fish') }, (t) => {
  const cwd = folder(t);
  const offers = (line: string) => {
    const code = `for file in completions/*.fish; source $file; end; complete -C ${JSON.stringify(line)}`;
    const env = { ...process.env, HOME: cwd, PATH: `${cwd}:${process.env.PATH}` };
    const { stdout, stderr } = spawnSync('fish', ['--no-config', '-c', code], { cwd, env, encoding: 'utf8' });
    t.equal(stderr, '');
    // Where a value may be left out it offers both `--loop` and `--loop=`.
    return stdout.split('\n').flatMap((offer) => offer.replace(/=?(\t.*)?$/, '') || []);
  };
  for (const about of abouts)
    t.strictSame(new Set(offers(`${about.name} --`)), new Set(flagsOf(about)), about.name);
  t.strictSame(offers('mproxy-client --frame '), [
    'cr',
    'line',
    'lines',
    'mold',
    'nul',
    'octet-counted',
    'raw',
  ]);
  t.strictSame(offers('mproxy-client --engine=li'), ['--engine=linux']);
  t.strictSame(offers('mproxy-client --loop=n'), ['--loop=no']);
  t.match(offers('mproxy-client --path a'), ['a file']);
  t.match(offers('mproxy-client --interface l'), ['lo']);
  t.strictSame(offers('mproxy-client --server-addr '), []);
  t.end();
});
