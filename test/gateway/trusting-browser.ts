import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import type { Test } from 'tap';
import { missing } from '../lan/tools.js';
import { launch, noChromium } from '../status/browser.js';
import type { Authority } from '../support/certificates.js';
import { shortFolder } from '../support/short-folder.js';

/** Why there is no such browser here. For `skip`. */
export const noTrustingBrowser = noChromium || missing('certutil');

/** A database of certificates (NSS), where Chromium looks for it: below this folder as its home. */
export function certificateStore(t: Test, authority: Authority): { home: string; database: string } {
  const home = shortFolder(t);
  const folder = join(home, '.pki/nssdb');
  mkdirSync(folder, { recursive: true });
  const database = `sql:${folder}`;
  execFileSync('certutil', ['-d', database, '-N', '--empty-password']);
  execFileSync('certutil', ['-d', database, '-A', '-t', 'C,,', '-n', 'authority', '-i', authority.file]);
  return { home, database };
}

/** Chromium that trusts an authority, and checks certificates as always. @param hosts where hosts are: `MAP a.test:80 127.0.0.1:1234` */
export async function trustingBrowser(
  t: Test,
  authority: Authority,
  hosts = 'MAP *.test 127.0.0.1',
): Promise<BrowserContext> {
  const { home } = certificateStore(t, authority);
  const env = { ...process.env, HOME: home };
  const browser = await launch([`--host-resolver-rules=${hosts}`], { env });
  t.teardown(() => browser.close());
  return browser.newContext();
}
