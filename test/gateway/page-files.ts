import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Authority, type Pair } from '../support/certificates.js';

/** What the files of certificates that the page names are. */
export interface PageFiles {
  /** It signed those of the sites, and of an upstream elsewhere. */
  authority: Authority;
  staff: Authority;
  /** Of the upstream elsewhere. */
  internal: Pair;
}

/** Writes the certificates that the documents and command lines of the page name. */
export async function writePageFiles(t: Test, folder: string): Promise<PageFiles> {
  const authority = await Authority.make(t);
  const staff = await Authority.make(t, 'staff');
  const put = (name: string, text: string) => writeFileSync(join(folder, name), text);
  const sign = async (name: string, ...dns: string[]) => {
    const pair = await authority.sign({ dns });
    put(`${name}.pem`, pair.cert);
    put(`${name}.key`, pair.key);
    return pair;
  };
  await sign('site', 'localhost');
  await sign('example.com', 'example.com');
  await sign('staff', 'staff.example.com');
  await sign('gateway', 'gateway.example.net');
  put('staff-ca.pem', staff.pem);
  put('internal-ca.pem', authority.pem);
  return { authority, staff, internal: await authority.sign({ dns: ['internal.example.net'] }) };
}
