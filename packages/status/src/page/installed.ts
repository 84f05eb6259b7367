import { readFileSync } from 'node:fs';

/** The page, as a file of the installed package. */
export function readPage(): string {
  return readFileSync(new URL('../../page.html', import.meta.url), 'utf8');
}
