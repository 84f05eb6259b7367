// Writes the man page, completions and systemd units of each command into its package for npm pack.
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readAbouts, texts } from './texts.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const abouts = await readAbouts();
// A client ends with its input, so it is not a service.
const units = readdirSync(join(root, 'packaging/systemd'));

for (const about of abouts) {
  const folder = join(root, 'packages', about.name.replace('mproxy-', ''));
  for (const [path, text] of Object.entries(texts(about, abouts))) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  for (const unit of units.filter((file) => file.startsWith(`${about.name}@`))) {
    mkdirSync(join(folder, 'systemd'), { recursive: true });
    copyFileSync(join(root, 'packaging/systemd', unit), join(folder, 'systemd', unit));
  }
}
