import { duration, integer, size, text, texts, toggle, usage } from 'mproxy-base';

const BUFFER = { min: 64 * 1024, max: 2 ** 40, why: 'less than 64KiB, one datagram' };

/** Flags of upstreams. */
export const UPSTREAM = {
  idleTimeout: duration({ help: 'silence that counts as failure; default 0, never' }),
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
    help: 'disconnect a client that accepts nothing for this long; default 5m, 0 never',
  }),
  maxClients: integer(0, 1_000_000, {
    value: 'COUNT',
    default: 1000,
    help: 'maximum number of clients on each --tcp-output-addr',
  }),
};

/** Flags of listeners that senders write to. */
export const SENDERS = {
  maxSenders: integer(0, 1_000_000, {
    value: 'COUNT',
    default: 1000,
    help: 'maximum number of senders on each TCP listener',
  }),
  senderTimeout: duration({ help: 'disconnect a sender that sends nothing for this long; default 0, never' }),
};

/** Flags of `tls://` connections. */
export const TLS_CLIENT = {
  tlsCa: text({ value: 'FILE', help: "trust these authorities instead of the system's" }),
  tlsCert: text({ value: 'FILE', help: 'client certificate to present' }),
  tlsKey: text({ value: 'FILE', help: 'its private key' }),
  tlsServername: text({ value: 'NAME', help: "ask for and verify this name instead of the host's" }),
  tlsInsecure: toggle({ help: 'do not verify the other side' }),
};

/** Flags of `tls://` listeners. */
export const TLS_SERVER = {
  tlsCert: texts({ value: 'FILE', help: 'certificate of the tls:// listeners; may repeat (SNI)' }),
  tlsKey: texts({ value: 'FILE', help: 'its key; the n-th goes with the n-th certificate' }),
  tlsClientCa: text({ value: 'FILE', help: 'require client certificates from these authorities' }),
};
