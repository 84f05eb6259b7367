import { duration, flagNames, integer, size, text, usage } from 'mproxy-base';

const BUFFER = { min: 64 * 1024, max: 2 ** 40, why: 'less than 64KiB, one datagram' };

/** Flags of upstreams. */
export const UPSTREAM = {
  idleTimeout: duration({ default: '0', help: 'silence that counts as failure, 0 never' }),
  greeting: greeting(),
  greetingFile: text({ value: 'FILE', help: 'send the contents of this file after every connect' }),
};

export const CLIENT_BUFFER = {
  clientBuffer: size({ default: '8MiB', help: 'queue limit of a client that does not keep up' }, BUFFER),
};

const ESCAPES: Record<string, string> = { n: '\n', r: '\r', t: '\t', '\\': '\\' };

function greeting() {
  const flag = text({ value: 'TEXT', help: 'send this after every connect; \\n and \\r are understood' });
  const read = (given: string | undefined, name: string) =>
    given?.replace(/\\(.?)/gs, (_, letter: string) => {
      const escaped = ESCAPES[letter];
      if (escaped !== undefined) return escaped;
      throw usage(name, given, `unknown escape \\${letter}`, 'use \\n, \\r, \\t or \\\\');
    });
  return { ...flag, read };
}

/** Flags of listeners that clients read from. */
export const CLIENTS = {
  clientTimeout: duration({
    default: '5m',
    help: 'disconnect a client that accepts nothing for this long, 0 never',
  }),
  maxClients: integer(0, 1_000_000, {
    value: 'COUNT',
    default: 1000,
    help: 'maximum number of clients on each address',
  }),
};

/** Flags of listeners that senders write to. */
export const SENDERS = {
  maxSenders: integer(0, 1_000_000, {
    value: 'COUNT',
    default: 1000,
    help: 'maximum number of senders on each address',
  }),
  senderTimeout: duration({
    default: '0',
    help: 'disconnect a sender that sends nothing for this long, 0 never',
  }),
};

/** The flags as the user writes them, for messages. */
export const TCP_NAMES = flagNames({ UPSTREAM, CLIENT_BUFFER, CLIENTS, SENDERS });
