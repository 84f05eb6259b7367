import { usage } from './errors.js';

const DURATIONS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, '': 1000 };
const SIZES: Record<string, number> = {
  '': 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};
const RATES: Record<string, number> = { bps: 1, kbps: 1e3, Mbps: 1e6, Gbps: 1e9, pps: 1 };
const RATE_HELP = 'a rate like 100Mbps or 5000pps: bps, kbps, Mbps, Gbps or pps';

/** A rate: payload bits or datagrams per second. */
export interface Rate {
  unit: 'bits' | 'datagrams';
  perSecond: number;
}

/** @returns milliseconds. A bare number is seconds. */
export function parseDuration(flag: string, value: string | number): number {
  const { amount } = quantity(flag, value, DURATIONS, 'a duration like 500ms, 10s, 5m or 1h');
  // A longer timer fires at once (Node: timers, setTimeout).
  if (amount < 2 ** 31) return amount;
  throw usage(flag, String(value), 'more than 596h');
}

/** @returns bytes. A bare number is bytes. */
export function parseSize(flag: string, value: string | number): number {
  const { amount } = quantity(flag, value, SIZES, 'a size like 4096, 64KiB, 8MiB or 1GB');
  if (!Number.isInteger(amount)) throw usage(flag, String(value), 'not a whole number of bytes');
  return amount;
}

export function parseRate(flag: string, value: string): Rate {
  const { amount, unit } = quantity(flag, value, RATES, RATE_HELP);
  if (amount <= 0) throw usage(flag, value, 'must be more than 0');
  return { unit: unit === 'pps' ? 'datagrams' : 'bits', perSecond: amount };
}

export function parseInteger(flag: string, value: string | number, least: number, most: number): number {
  const number = /^\d+$/.test(String(value)) ? Number(value) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw usage(flag, String(value), `not a whole number from ${least} to ${most}`);
}

function quantity(flag: string, value: string | number, units: Record<string, number>, expected: string) {
  const [, digits, unit] = /^(\d+(?:\.\d+)?|\.\d+) ?([A-Za-z]*)$/.exec(String(value)) ?? [];
  const factor = unit === undefined || !Object.hasOwn(units, unit) ? undefined : units[unit];
  if (digits === undefined || factor === undefined) throw usage(flag, String(value), `not ${expected}`);
  return { amount: Number(digits) * factor, unit };
}

/** Formats bytes: `1.5 MB`. */
export function showBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const power = Math.min(Math.floor(Math.log10(bytes) / 3), 4);
  return `${(bytes / 1000 ** power).toFixed(1)} ${['', 'kB', 'MB', 'GB', 'TB'][power]}`;
}

/** Formats memory in the units of the kernel: `416 KiB`. */
export function showMemory(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const power = bytes < 2 ** 20 ? 1 : bytes < 2 ** 30 ? 2 : 3;
  return `${Number((bytes / 1024 ** power).toFixed(1))} ${['', 'KiB', 'MiB', 'GiB'][power]}`;
}

/** Formats a duration: `500 ms`, `30 s`, `5 m`. */
export function showDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Number((ms / 1000).toFixed(1))} s`;
  return `${Number((ms / 60_000).toFixed(1))} m`;
}

/** Formats a whole number: `1,234`. toLocaleString would load 8 MB of locale data. */
export function showNumber(number: number): string {
  return String(number).replace(/\B(?=(?:\d{3})+$)/g, ',');
}

/** Formats a count with its noun: `1,234 datagrams`, `1 line`. @param words the plural */
export function showCount(count: number, word: string, words = `${word}s`): string {
  return `${showNumber(count)} ${count === 1 ? word : words}`;
}
