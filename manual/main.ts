// Writes the man page and the completions of each command into its package, where npm pack finds them.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readAbouts, texts } from './texts.js';

const packages = fileURLToPath(new URL('../../packages/', import.meta.url));
const abouts = await readAbouts();

for (const about of abouts) {
  for (const [path, text] of Object.entries(texts(about, abouts))) {
    const file = join(packages, about.name.replace('mproxy-', ''), path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
