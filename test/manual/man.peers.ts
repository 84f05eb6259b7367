import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type About, flagGroups } from 'mproxy-command';
import t, { type Test } from 'tap';
import { readAbouts, texts } from '../../manual/texts.js';
import { missing } from '../lan/tools.js';

const abouts = await readAbouts();
const SECTIONS = [
  'NAME',
  'SYNOPSIS',
  'DESCRIPTION',
  'OPTIONS',
  'ADDRESSES',
  'EXIT STATUS',
  'SIGNALS',
  'ENVIRONMENT',
  'EXAMPLES',
  'SEE ALSO',
];

function writePage(t: Test, about: About): string {
  const path = `man/${about.name}.1`;
  const folder = t.testdir();
  mkdirSync(join(folder, 'man'));
  writeFileSync(join(folder, path), texts(about, abouts)[path]!);
  return join(folder, path);
}

/** What a program prints of a page; with no terminal there is no bold. */
function run(t: Test, file: string, ...args: string[]): string {
  const env = { ...process.env, MANWIDTH: '200', MANPAGER: 'cat', LC_ALL: 'C.UTF-8' };
  const { status, stdout, stderr } = spawnSync(file, args, { env, encoding: 'utf8' });
  t.equal(stderr, '', `${file} has no complaint`);
  t.equal(status, 0, `${file} ends with 0`);
  return stdout;
}

for (const about of abouts) {
  t.test(`man shows the page of ${about.name}`, { skip: missing('man') }, (t) => {
    const page = run(t, 'man', '--warnings', '-l', writePage(t, about));
    const wanted = about.manual ? SECTIONS.filter((one) => one !== 'ADDRESSES') : SECTIONS;
    t.strictSame(page.match(/^[A-Z][A-Z ]+$/gm), wanted);
    for (const [heading, group] of flagGroups(about)) {
      t.match(page, heading);
      for (const { name, short, value, optional, help } of group) {
        const names = short ? `${short}, ${name}` : name;
        const takes = value === undefined ? '' : optional ? ` [${value}]` : ` ${value}`;
        t.ok(plain(page).includes(plain(`${names}${takes} ${help}`)), names);
      }
    }
    for (const example of about.examples) t.match(page, example, 'an example as one types it');
    for (const other of abouts) if (other !== about) t.match(page, `${other.name}(1)`);
    t.end();
  });

  t.test(`mandoc finds nothing in the page of ${about.name}`, { skip: missing('mandoc') }, (t) => {
    t.equal(run(t, 'mandoc', '-T', 'lint', writePage(t, about)), '');
    t.end();
  });
}

/** Words alone: a page is broken into lines and justified, where no hyphen is put in at this width. */
function plain(text: string): string {
  return text.replace(/\s+/g, ' ');
}
