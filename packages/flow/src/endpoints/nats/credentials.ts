import { readFileSync } from 'node:fs';
import { failure } from 'mproxy-base';
import { UserKey } from './nkey.js';
import { ProtocolError } from './protocol-error.js';

/** How a client is known to its servers: as its address has it, or by a file. */
export interface Login {
  user?: string;
  password?: string;
  token?: string;
  /** A credentials file: JWT and seed, or a seed alone. */
  creds?: string;
}

/**
 * The fields of CONNECT for a server. A credentials file is read each time: it may have been renewed.
 * @param nonce of the server; empty: it wants no signature
 * @throws MPROXY_FILE, which names the file; ProtocolError
 */
export function loginFields({ user, password = '', token, creds }: Login, nonce: string): object {
  if (creds !== undefined) {
    const { jwt, key } = readCredsFile(creds);
    // A server that knows no keys sends no nonce, and ignores the login.
    if (nonce === '') throw new ProtocolError('the server does not use keys: log in without creds');
    return { ...(jwt === undefined ? { nkey: key.publicKey } : { jwt }), sig: key.sign(nonce) };
  }
  if (token !== undefined) return { auth_token: token };
  return user === undefined ? {} : { user, pass: password };
}

/** Reads a credentials file (NATS ADR-14). @throws MPROXY_FILE */
export function readCredsFile(file: string): { jwt: string | undefined; key: UserKey } {
  try {
    const text = readFileSync(file, 'utf8');
    const jwt = section(text, 'NATS USER JWT');
    const seed =
      section(text, 'USER NKEY SEED') ?? (jwt === undefined ? /^S[A-Z\d]+$/m.exec(text)?.[0] : undefined);
    if (seed === undefined) throw new Error('the section USER NKEY SEED is missing');
    if (jwt !== undefined && !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(jwt))
      throw new Error('the section NATS USER JWT does not contain a JWT');
    return { jwt, key: new UserKey(seed) };
  } catch (error) {
    throw failure('MPROXY_FILE', 'creds', file, error);
  }
}

/** The text between `-----BEGIN name-----` and `------END name------`; undefined: it is not there. */
function section(text: string, name: string): string | undefined {
  return new RegExp(`^-+BEGIN ${name}-+\\s+(\\S+)\\s+-+END ${name}-+\\s*$`, 'm').exec(text)?.[1];
}
