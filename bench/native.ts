import { execFileSync, spawnSync } from 'node:child_process';
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const PROGRAMS = [
  'load',
  'count',
  'readers',
  'probe',
  'meter',
  'echo-load',
  'http-load',
  'http-origin',
] as const;
const LOOPS = ['loop-relay', 'loop-server', 'loop-client', 'loop-fanout', 'loop-http'] as const;
const TLS = ['loop-fanout-tls', 'readers-tls', 'http-load-tls'] as const;
export type Native = (typeof PROGRAMS)[number] | (typeof LOOPS)[number] | (typeof TLS)[number];

const BUILT = join(ROOT, 'build', 'bench', 'native');

/** Of all TLS servers: see {@link buildTls}. */
export const CERTIFICATE = {
  cert: join(BUILT, 'bench.crt'),
  key: join(BUILT, 'bench.key'),
  pair: join(BUILT, 'bench.pem'),
};

export function native(name: Native): string {
  return join(BUILT, name);
}

/** Compiles the generators, counters and bare loops, which must be faster than what they measure. */
export function buildNative(): void {
  mkdirSync(BUILT, { recursive: true });
  try {
    for (const name of [...PROGRAMS, ...LOOPS]) compile(name, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error('the bench needs a C compiler (cc) for its load generator', { cause: error });
  }
}

/** Compiles those that need OpenSSL, and makes a certificate. @returns why there are none; undefined: there are */
export function buildTls(): string | undefined {
  const { cert, key, pair } = CERTIFICATE;
  const openssl = ['-lssl', '-lcrypto'];
  try {
    compile('loop-fanout-tls', 'loop-fanout-tls', ...openssl);
    compile('readers-tls', 'readers', '-DTLS', ...openssl);
    compile('http-load-tls', 'http-load', '-DTLS', ...openssl);
  } catch (error) {
    const missing = (error as Error).message.includes('openssl/ssl.h');
    return missing ? 'the headers of OpenSSL are missing (Debian: libssl-dev)' : (error as Error).message;
  }
  const request = ['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  const files = ['-subj', '/CN=bench', '-days', '2', '-out', cert, '-keyout', key];
  const { error, status, stderr } = spawnSync('openssl', [...request, ...files], { encoding: 'utf8' });
  if (error) return `openssl: ${(error as NodeJS.ErrnoException).code ?? error.message}`;
  if (status !== 0) return `openssl: ${stderr.trim().split('\n').at(-1)}`;
  // HAProxy wants both in one file.
  writeFileSync(pair, `${readFileSync(cert, 'utf8')}${readFileSync(key, 'utf8')}`, { mode: 0o600 });
  return undefined;
}

function compile(name: Native, source: string, ...flags: string[]): void {
  const file = join(ROOT, 'bench', 'native', `${source}.c`);
  try {
    execFileSync('cc', ['-O2', '-Wall', '-o', native(name), file, ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: Buffer };
    if (code === 'ENOENT') throw error;
    throw new Error(`cc ${file}: ${stderr}`);
  }
}

export function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function onPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => isProgram(join(folder, program)));
}
