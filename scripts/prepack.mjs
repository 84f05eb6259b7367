// npm pack runs it in the folder of each package: builds, and lays down what a tarball has beside that.
import { copyFileSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import './prepare.mjs';

const root = new URL('..', import.meta.url);

// The compiler leaves what it once made of a source that is gone.
for (const file of readdirSync('dist', { recursive: true, encoding: 'utf8' })) {
  const [, path] = /^(.*?)(?:\.d)?\.[jt]s$/.exec(file) ?? [];
  if (path && !existsSync(join('src', `${path}.ts`))) rmSync(join('dist', file));
}
copyFileSync(new URL('LICENSE', root), 'LICENSE');
