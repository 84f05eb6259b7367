// Writes the man page, completions and systemd unit of each command into its package for npm pack.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readAbouts, texts } from './texts.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const abouts = await readAbouts();

for (const about of abouts) {
  const folder = join(root, 'packages', about.name.replace('mproxy-', ''));
  for (const [path, text] of Object.entries(texts(about, abouts))) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  const unit = `systemd/${about.name}@.service`;
  // A client ends with its input, so it is not a service.
  if (about.name !== 'mproxy-client') cpSync(join(root, 'packaging', unit), join(folder, unit));
}
