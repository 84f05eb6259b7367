import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import type { Test } from 'tap';

/** A certificate with its key, as PEM and as files. */
export interface Pair {
  cert: string;
  key: string;
  certFile: string;
  keyFile: string;
}

export interface Names {
  dns?: string[];
  ips?: string[];
  /** When it is valid; by default from now on for a year. */
  from?: Date;
  until?: Date;
}

/** Keys by their type. */
const KEYS = {
  ec: { keyType: 'ec', algorithm: 'sha256' },
  rsa: { keyType: 'rsa', keySize: 2048, algorithm: 'sha256' },
} as const;
type KeyType = keyof typeof KEYS;
let made = 0;

/** An authority of the test's own, with what it signed, in a directory that the test removes. */
export class Authority {
  readonly #directory = mkdtempSync(join(tmpdir(), 'mproxy-tls-'));

  private constructor(
    t: Test,
    private readonly cert: string,
    private readonly key: string,
    private readonly keyType: KeyType,
  ) {
    t.teardown(() => rmSync(this.#directory, { recursive: true, force: true }));
    this.write('ca.pem', cert);
  }

  /** @param keyType of its key, and of those that it makes for others */
  static async make(t: Test, name = 'authority of a test', keyType: KeyType = 'ec'): Promise<Authority> {
    const pem = await generate([{ name: 'commonName', value: name }], {
      ...KEYS[keyType],
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
      ],
    });
    return new Authority(t, pem.cert, pem.private, keyType);
  }

  /** Its own certificate: what `--tls-ca` and `--tls-client-ca` take. */
  get file(): string {
    return this.path('ca.pem');
  }

  get pem(): string {
    return this.cert;
  }

  get privateKey(): string {
    return this.key;
  }

  /** Signs a certificate for these names. */
  async sign({ dns = [], ips = [], from, until }: Names): Promise<Pair> {
    const { cert, key, keyType } = this;
    const pem = await generate([{ name: 'commonName', value: dns[0] ?? ips[0] ?? 'nobody' }], {
      ...KEYS[keyType],
      ca: { cert, key },
      ...(from && { notBeforeDate: from }),
      ...(until && { notAfterDate: until }),
      extensions: [
        { name: 'basicConstraints', cA: false },
        {
          name: 'subjectAltName',
          altNames: [
            ...dns.map((value) => ({ type: 2 as const, value })),
            ...ips.map((ip) => ({ type: 7 as const, ip })),
          ],
        },
      ],
    });
    const number = made++;
    return {
      cert: pem.cert,
      key: pem.private,
      certFile: this.write(`${number}.pem`, pem.cert),
      keyFile: this.write(`${number}.key`, pem.private),
    };
  }

  path(name: string): string {
    return join(this.#directory, name);
  }

  write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }
}

/** The flags of a TLS listener with these pairs. */
export function pairFlags(...pairs: Pair[]): string[] {
  return pairs.flatMap(({ certFile, keyFile }) => ['--tls-cert', certFile, '--tls-key', keyFile]);
}
