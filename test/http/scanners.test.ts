import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { BY_SLOT, KNOWN, knownName, knownText, MISSPELT, OTHER_FORWARDED } from 'mproxy-http/known-names';
import { DONE, MORE, ROW, TOO_MANY } from 'mproxy-http/scan-results';
import { headScanner } from 'mproxy-http/scanner';
import { WasmScanner } from 'mproxy-http/scanner-wasm';
import t from 'tap';
import { SCANNERS } from './exchange.js';
import { compareScanners } from './fuzz.js';

const HEADS = 100_000;

t.test('both scanners find the same', (t) => compareScanners(t, HEADS));

t.test('the scanner of a thread is the one in WebAssembly, where there is any', (t) => {
  t.ok(headScanner() instanceof WasmScanner);
  const script =
    "import('mproxy-http/scanner').then(({ headScanner }) => console.log(headScanner().constructor.name))";
  // Without a compiler there is no WebAssembly.
  const { stdout, stderr } = spawnSync(process.execPath, ['--jitless', '-e', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
  });
  t.equal(String(stdout).trim(), 'JsScanner', String(stderr));
  t.end();
});

t.test('known names are found in any case, and where `-` is spelt `_`', (t) => {
  const bytes = (name: string) => Buffer.from(`-${name}:`);
  for (const [name, id] of Object.entries(KNOWN)) {
    for (const spelt of [name, name.toUpperCase()])
      t.equal(knownName(bytes(spelt), 1, 1 + name.length), id, spelt);
    t.equal(knownText(name), id, name);
    if (name.includes('-')) {
      const misspelt = name.replaceAll('-', '_');
      t.equal(knownName(bytes(misspelt), 1, 1 + name.length), id + MISSPELT, misspelt);
    }
    const longer = name.startsWith('x-forwarded-') ? OTHER_FORWARDED : 0;
    t.equal(knownName(bytes(`${name}s`), 1, 2 + name.length), longer, `${name}s`);
  }
  t.equal(knownName(bytes('X-Forwarded-A'), 1, 14), OTHER_FORWARDED);
  t.equal(knownName(bytes('X_Forwarded-A'), 1, 14), OTHER_FORWARDED + MISSPELT);
  t.equal(knownName(bytes('X-Forwarded-'), 1, 13), 0);
  t.equal(BY_SLOT.filter((id) => id !== 0).length, Object.keys(KNOWN).length, 'each has a slot of its own');
  t.end();
});

t.test('lines of any length, and any number of them', (t) => {
  const lengths = [1, 15, 16, 17, 2000, 2040, 2047, 2048, 2049, 4095, 4096, 40_000, 65_472, 70_000, 200_000];
  for (const [name, scanner] of SCANNERS) {
    for (const length of lengths) {
      const bytes = Buffer.from(`A: ${'b'.repeat(length)} \r\nC: d\r\n\r\n`);
      t.equal(scanner.scan(bytes, 0, bytes.length, 100), DONE, `${name}: ${length}`);
      t.strictSame(scanner.rows.slice(0, 5), [0, 1, 3, 3 + length, 0]);
      t.equal(scanner.rows.length, 2 * ROW);
      t.equal(scanner.at, bytes.length);
      t.equal(scanner.scan(bytes, 0, 3 + length, 100), MORE);
      t.equal(scanner.at, 0);
    }
    // Behind a long line many are scanned at once.
    for (const first of [1, 20_000]) {
      const many = Buffer.from(`A: ${'b'.repeat(first)}\r\n${'A:\r\n'.repeat(9999)}\r\n`);
      t.equal(scanner.scan(many, 0, many.length, 20_000), DONE, `${name}: many`);
      t.equal(scanner.rows.length, 10_000 * ROW);
      t.strictSame(scanner.rows.slice(-ROW), [
        many.length - 6,
        many.length - 5,
        many.length - 4,
        many.length - 4,
        0,
      ]);
      t.equal(scanner.scan(many, 0, many.length, 9999), TOO_MANY);
      t.equal(scanner.at, many.length - 6);
    }
  }
  t.end();
});

t.test('every byte, at every place of a name and a value', (t) => {
  const wrong: string[] = [];
  for (const line of ['Name-of-20-characters: value of 25 characters, ok', 'A: b']) {
    for (let at = 0; at < line.length; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const bytes = Buffer.from(`${line}\r\n\r\n`, 'latin1');
        bytes[at] = byte;
        const [one, other] = SCANNERS.map(([, scanner]) => {
          return JSON.stringify([scanner.scan(bytes, 0, bytes.length, 100), scanner.at, scanner.rows]);
        });
        if (one !== other) wrong.push(`${byte} at ${at}: ${one} ${other}`);
      }
    }
  }
  t.strictSame(wrong, []);
  t.end();
});
