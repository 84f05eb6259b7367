import { randomInt } from 'node:crypto';
import { parseDuration, parseRate, parseSize, type Rate, usage } from 'mproxy-base';
import { MoldError, sessionName } from 'mproxy-mold';
import { type Address, type AddressRule, isGroup, parseAddress } from 'mproxy-net';

/** Options of the sending side of `frame=mold`. */
export interface MoldSendOptions {
  /** The session's name, 1 to 10 printable ASCII characters; default random for each run. */
  session?: string;
  /** Retransmission buffer size; default 256 MiB, at least 1 MiB. */
  retain?: number | string;
  /** Limit on all retransmissions together, `100Mbps` or `5000pps`; default `rate`, else 1 Gbps. */
  repairRate?: string;
  /** How long requests are answered after the end or the last request, as `2s`; default 2 seconds. */
  linger?: number | string;
}

/** Options of the receiving side of `frame=mold`. */
export interface MoldReceiveOptions {
  /** Request all messages from the first of each session. */
  fromStart?: boolean;
  /** End when at least one session was received and all have ended. */
  once?: boolean;
  /** `HOST:PORT` to send requests to; default the source of the data. */
  requestAddr?: string;
  /** Time from the first request for a message until it is given up, as `10s`; default 10 seconds. */
  repairTimeout?: number | string;
}

export interface MoldSending {
  session: string;
  retain: number;
  repairRate: Rate;
  linger: number;
}

export interface MoldReceiving {
  fromStart: boolean;
  once: boolean;
  requestAddr: Address | undefined;
  repairTimeout: number;
}

/** Holds several packets of any size. */
const MIN_STORE = 1024 * 1024;
/** Offsets are 32 bits, and the same memory holds a line buffer. */
const MAX_STORE = 4095 * 1024 ** 2;
const REPAIR_RATE: Rate = { unit: 'bits', perSecond: 1e9 };
const REQUEST_ADDR: AddressRule = { flag: '--request-addr', keys: [], listens: false };
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';

/** @param used whether an address sends with `frame=mold` @throws MPROXY_USAGE */
export function readMoldSending(options: MoldSendOptions, used: boolean, rate?: Rate): MoldSending {
  forbidUnused(options, ['session', 'retain', 'repairRate', 'linger'], used, 'no address sends with it');
  const { session, retain = '256MiB', repairRate, linger = '2s' } = options;
  const bytes = parseSize('--retain', retain);
  if (bytes < MIN_STORE || bytes > MAX_STORE)
    throw usage('--retain', String(retain), 'not a size from 1MiB to 4095MiB');
  return {
    session: session === undefined ? newSession() : readSession(session),
    retain: bytes,
    repairRate: repairRate === undefined ? (rate ?? REPAIR_RATE) : parseRate('--repair-rate', repairRate),
    linger: parseDuration('--linger', linger),
  };
}

/** @param used whether an address receives with `frame=mold` @throws MPROXY_USAGE */
export function readMoldReceiving(options: MoldReceiveOptions, used: boolean): MoldReceiving {
  forbidUnused(options, ['fromStart', 'requestAddr', 'repairTimeout'], used, 'no address receives with it');
  const { fromStart = false, once = false, requestAddr, repairTimeout = '10s' } = options;
  return {
    fromStart,
    once,
    requestAddr: requestAddr === undefined ? undefined : readRequestAddr(requestAddr),
    repairTimeout: parseDuration('--repair-timeout', repairTimeout),
  };
}

function forbidUnused<O>(options: O, names: (keyof O & string)[], used: boolean, why: string): void {
  const given = names.find((name) => options[name] !== undefined && options[name] !== false);
  if (used || given === undefined) return;
  const flag = `--${given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw usage(flag, 'given', `it is for frame=mold, and ${why}`);
}

/** Random, one of 36^10 names: two runs must not share a session. */
function newSession(): string {
  return Array.from({ length: 10 }, () => LETTERS[randomInt(LETTERS.length)]).join('');
}

function readSession(text: string): string {
  try {
    return sessionName(text);
  } catch (error) {
    if (error instanceof MoldError) throw usage('--session', text, error.message);
    throw error;
  }
}

function readRequestAddr(text: string): Address {
  const address = parseAddress(text, REQUEST_ADDR, {});
  if (isGroup(address.host))
    throw usage('--request-addr', text, 'a group, and requests go to one host', "give the sender's address");
  return address;
}
