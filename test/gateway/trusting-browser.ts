import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import type { Test } from 'tap';
import { missing } from '../lan/tools.js';
import { CHROMIUM, launch, noChromium } from '../status/browser.js';
import type { Authority, Pair } from '../support/certificates.js';
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

/** Why no policy of a browser can be set for one alone. For `skip`. */
export const noPolicy =
  noTrustingBrowser ||
  missing('openssl') ||
  (process.getuid?.() !== 0 && 'policies of the browser need a mount namespace, and root');

/**
 * The same with a certificate of a client, which it presents wherever one is asked for. That is a policy; Chromium looks for it in
 * a folder of the system, which is another one for this process alone (mount_namespaces(7)).
 */
export async function presentingBrowser(t: Test, authority: Authority, pair: Pair): Promise<BrowserContext> {
  const { home, database } = certificateStore(t, authority);
  const [bundle, program, policies] = ['client.p12', 'chromium', 'etc'].map((name) => join(home, name)) as [
    string,
    string,
    string,
  ];
  const made = ['-out', bundle, '-inkey', pair.keyFile, '-in', pair.certFile, '-passout', 'pass:'];
  execFileSync('openssl', ['pkcs12', '-export', ...made]);
  execFileSync('pk12util', ['-d', database, '-i', bundle, '-W', '']);
  mkdirSync(join(policies, 'policies/managed'), { recursive: true });
  const always = JSON.stringify({ pattern: '*', filter: {} });
  const policy = { AutoSelectCertificateForUrls: [always] };
  writeFileSync(join(policies, 'policies/managed/policy.json'), JSON.stringify(policy));
  const inside = `mount --bind ${policies} /etc/chromium && exec ${CHROMIUM} "$@"`;
  writeFileSync(program, `#!/bin/sh\nexec unshare --mount sh -c '${inside}' chromium "$@"\n`, {
    mode: 0o755,
  });
  const env = { ...process.env, HOME: home };
  const browser = await launch(['--host-resolver-rules=MAP *.test 127.0.0.1'], {
    env,
    executablePath: program,
  });
  t.teardown(() => browser.close());
  return browser.newContext();
}
