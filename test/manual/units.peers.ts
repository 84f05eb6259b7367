import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { readAbouts } from '../../manual/texts.js';
import { missing } from '../lan/tools.js';
import { standIn } from './terminal.js';

const units = fileURLToPath(new URL('../../../packaging/systemd/', import.meta.url));
const SERVICES = readdirSync(units).filter((file) => file.endsWith('.service'));
const SOCKETS = readdirSync(units).filter((file) => file.endsWith('.socket'));
const abouts = await readAbouts();
const skip = missing('systemd-analyze');

/** systemd-analyze's exposure, in tenths: it calls up to 2.0 safe. What it misses is the network, mostly. */
const EXPOSURE = 20;

/** The unit with the command in a folder of the test's, where it may be missing from /usr/local/bin. */
function installed(t: Test, unit: string, change = (text: string) => text): string {
  const folder = t.testdir();
  const text = readFileSync(join(units, unit), 'utf8');
  standIn(folder, unit.replace('@.service', ''));
  const file = join(folder, unit);
  writeFileSync(file, change(text.replace('/usr/local/bin/', `${folder}/`)));
  return file;
}

function verify(file: string): string {
  const args = ['verify', '--man=no', '--recursive-errors=no', file];
  const { status, stderr } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  // Of other units on this machine it may speak, too.
  const own = stderr.split('\n').filter((line) => line.includes('mproxy'));
  return status === 0 ? own.join('\n') : stderr;
}

for (const unit of SERVICES) {
  t.test(`systemd takes ${unit}, and finds it safe`, { skip }, (t) => {
    const file = installed(t, unit);
    t.equal(verify(file), '');
    const args = ['security', '--offline=true', `--threshold=${EXPOSURE}`, '--no-pager', file];
    const { status, stdout } = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
    t.equal(status, 0, /Overall.*/.exec(stdout)?.[0] ?? 'no figure');
    const wrong = installed(t, unit, (text) => text.replace('WatchdogSec=30s', 'WatchdogSec=soon'));
    t.match(verify(wrong), 'soon', 'it would say what is wrong');
    t.end();
  });

  t.test(`${unit} reloads a command that SIGHUP does not end`, (t) => {
    const about = abouts.find(({ name }) => `${name}@.service` === unit);
    const text = readFileSync(join(units, unit), 'utf8');
    t.equal(/^ExecReload=.* -HUP \$MAINPID$/m.test(text), about!.hangup !== undefined);
    t.end();
  });
}

for (const unit of SOCKETS) {
  t.test(`systemd takes ${unit}, beside its service`, { skip }, (t) => {
    const service = installed(t, unit.replace(/socket$/, 'service'));
    const text = readFileSync(join(units, unit), 'utf8');
    const socket = join(dirname(service), unit);
    writeFileSync(socket, text);
    t.equal(verify(socket), '');
    t.match(text, /^FileDescriptorName=%i$/m, 'the name of its instance');
    writeFileSync(socket, text.replace('Backlog=4096', 'Backlog=many'));
    t.match(verify(socket), 'many', 'it would say what is wrong');
    t.end();
  });
}
