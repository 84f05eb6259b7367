import { integer, text, usage } from 'mproxy-base';
import { type AddressRule, parseAddress, splitScheme, withoutSecrets } from 'mproxy-net/address';
import { type Keys, parseKeys, withDefaults } from 'mproxy-net/keys';
import type { AnyAddress } from '../../endpoint.js';
import type { Login } from './credentials.js';
import type { ServerAddress } from './info.js';
import { subjectError } from './subject.js';

const DEFAULT_PORT = 4222;
const TLS_SCHEME = 'tls+nats';
/** Names of streams and consumers (NATS ADR-6). */
const NAME = /^[\w-]{1,255}$/;
const NAME_ADVICE = 'use letters, digits, _ and -';

export const SYNTAX = 'nats://[USER:PASSWORD@|TOKEN@]HOST[:PORT][;HOST[:PORT]...]/SUBJECT';

const IDENTITY = {
  creds: text({ value: 'FILE', help: 'credentials: JWT and seed, or a seed alone' }),
  cert: text({
    value: 'FILE',
    help: 'client certificate (tls+nats); default --tls-cert, unless for listeners',
  }),
  key: text({ value: 'FILE', help: 'its private key' }),
};

/** The keys of this type alone. */
export const OWN_KEYS = {
  source: {
    ...IDENTITY,
    queue: text({ value: 'GROUP', help: 'queue group: one of its members gets each message' }),
  },
  sink: IDENTITY,
};

const STREAM = { stream: text({ value: 'NAME', help: 'a JetStream stream that has the subject' }) };

/** The keys of a subject of a stream. */
export const STREAM_KEYS = {
  source: {
    ...IDENTITY,
    ...STREAM,
    durable: text({
      value: 'NAME',
      help: 'with stream: a consumer that keeps the position; created if missing',
    }),
  },
  sink: {
    ...IDENTITY,
    ...STREAM,
    window: integer(1, 65_536, {
      value: 'COUNT',
      help: 'with stream: maximum of unacknowledged messages; default 1024',
    }),
  },
};

type OwnKeys = {
  creds?: string;
  cert?: string;
  key?: string;
  queue?: string;
  stream?: string;
  durable?: string;
  window?: number;
};

/** A parsed address. Its text is for the user: password and token are hidden. */
export interface NatsAddress extends AnyAddress {
  /** At least one. */
  servers: ServerAddress[];
  /** `tls+nats://`: a server without TLS is refused. */
  tls: boolean;
  subject: string;
  login: Login;
  /** Files of the client certificate and its key; undefined: those of the flags for connections, if any. */
  certificate: { cert: string; key: string } | undefined;
  /** A queue group: one of its members gets each message. */
  queue: string | undefined;
  /** A stream that has the subject; undefined: core NATS. */
  stream: string | undefined;
  /** A consumer of the stream that keeps the position. */
  durable: string | undefined;
  /** The most messages that are sent to the stream and not acknowledged. */
  window: number;
}

/** The parts of an address before they are checked. */
interface Parts {
  scheme: string;
  userInfo: string | undefined;
  hosts: string;
  subject: string;
  pairs: string[];
}

/**
 * Parses `nats://[user[:password]@|token@]HOST[:PORT][;HOST[:PORT]...]/SUBJECT[,KEY=VALUE...]`. No I/O. User, password, token
 * and subject are percent-decoded.
 * @param rule its keys are those that other types have, too
 * @throws MPROXY_USAGE, with the flag and the reason, without secrets
 */
export function parseNats(given: string, rule: AddressRule, defaults: Keys = {}): NatsAddress {
  const parts = split(given);
  if (hasAtSign(parts, rule))
    throw usage(
      rule.flag,
      withoutSecrets(given),
      'an @ behind the first /',
      'write %2F for a / in user, password or token, and %40 for an @ in the subject',
    );
  const shownText = shown(parts);
  const error = (why: string, advice = `write ${SYNTAX}`) => usage(rule.flag, shownText, why, advice);
  // Of a list with a login for each server the first ones would become part of the last password.
  if (parts.userInfo?.includes(';'))
    throw error(
      'a ; in user, password or token',
      'write them once, before the first host, and %3B for a ; in them',
    );
  if (!parts.hosts) throw error('no host');
  const subject = decoded(parts.subject);
  if (subject === undefined)
    throw error('a % in the subject without two hexadecimal digits', 'write %25 for it');
  const wrong = subjectError(subject, true);
  if (wrong) throw error(wrong);
  const own = parseKeys<OwnKeys>(parts.pairs, shownText, rule);
  const login = loginOf(parts.userInfo);
  if (!login) throw error('user, password or token: a % without two hexadecimal digits', 'write %25 for it');
  const { creds, cert, key, queue, stream, durable, window = 1024 } = own;
  if (creds !== undefined && parts.userInfo !== undefined)
    throw error('creds and a user or token contradict each other', '');
  if (queue !== undefined && subjectError(queue, false) !== undefined)
    throw error(`${JSON.stringify(queue)} is not the name of a queue group`, '');
  if ((cert === undefined) !== (key === undefined)) throw error('cert and key go together', '');
  if (cert !== undefined && parts.scheme !== TLS_SCHEME)
    throw error('cert and key need TLS', `write ${TLS_SCHEME}://`);
  for (const [what, name] of Object.entries({ stream, durable }))
    if (name !== undefined && !NAME.test(name)) throw error(`${what}=${name} is not a name`, NAME_ADVICE);
  if (stream === undefined && (durable !== undefined || own.window !== undefined))
    throw error(`${durable === undefined ? 'window' : 'durable'} without a stream`, 'add stream=NAME');
  if (stream !== undefined && queue !== undefined)
    throw error('stream and queue contradict each other', 'use durable=NAME in all members of the group');
  return {
    text: shownText,
    servers: parts.hosts.split(';').map((host) => parseServer(host, rule.flag)),
    tls: parts.scheme === TLS_SCHEME,
    subject,
    login: creds === undefined ? login : { creds },
    certificate: cert === undefined || key === undefined ? undefined : { cert, key },
    queue,
    stream,
    durable,
    window,
    ...withDefaults(own, shownText, rule, defaults),
  };
}

function split(given: string): Parts {
  const { scheme = 'nats', rest } = splitScheme(given);
  const slash = rest.indexOf('/');
  const authority = slash < 0 ? rest : rest.slice(0, slash);
  const [subject = '', ...pairs] = slash < 0 ? [] : rest.slice(slash + 1).split(',');
  const at = authority.lastIndexOf('@');
  const userInfo = at < 0 ? undefined : authority.slice(0, at);
  return { scheme, userInfo, hosts: authority.slice(at + 1), subject, pairs };
}

/** Whether an @ follows the subject's slash: behind a slash in user, password or token, which then would be shown. */
function hasAtSign({ subject, pairs }: Parts, { ownKeys = {} }: AddressRule): boolean {
  // File names may have one.
  const isOwn = (pair: string) => Object.hasOwn(ownKeys, pair.split('=')[0]!);
  return subject.includes('@') || pairs.some((pair) => pair.includes('@') && !isOwn(pair));
}

/** An address as it is shown: without password and token. A colon behind an @ is that of a port, and a token before it. */
function shown({ scheme, userInfo, hosts, subject, pairs }: Parts): string {
  const [, name] = /^([^:@]*):/.exec(userInfo ?? '') ?? [];
  const user = userInfo === undefined ? '' : `${name === undefined ? '***' : `${name}:***`}@`;
  return `${scheme}://${user}${hosts}/${[subject, ...pairs].join(',')}`;
}

/** User and password, or a token. @returns undefined: it cannot be decoded */
function loginOf(userInfo: string | undefined): Login | undefined {
  if (userInfo === undefined) return {};
  const colon = userInfo.indexOf(':');
  const first = decoded(colon < 0 ? userInfo : userInfo.slice(0, colon));
  const password = decoded(colon < 0 ? '' : userInfo.slice(colon + 1));
  if (first === undefined || password === undefined) return undefined;
  return colon < 0 ? { token: first } : { user: first, password };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}

function parseServer(host: string, flag: string): ServerAddress {
  const hasPort = /:\d*$/.test(host.replace(/^\[[^\]]*\]/, ''));
  const rule = { flag, keys: [], listens: false };
  const { zone, ...server } = parseAddress(hasPort ? host : `${host}:${DEFAULT_PORT}`, rule);
  return { host: zone === undefined ? server.host : `${server.host}%${zone}`, port: server.port };
}
