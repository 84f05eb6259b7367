import { getAsset } from 'node:sea';

/** The page, as embedded in a standalone executable. */
export function readPage(): string {
  return getAsset('page.html', 'utf8');
}
