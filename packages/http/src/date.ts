let second = -1;
let date = '';
let line: Uint8Array = Buffer.alloc(0);

function update(now: number): void {
  const current = Math.floor(now / 1000);
  if (current === second) return;
  second = current;
  date = new Date(current * 1000).toUTCString();
  line = Buffer.from(`Date: ${date}\r\n`, 'latin1');
}

/** A time as in Date (RFC 9110, section 5.6.7); the last one is kept. @param now milliseconds since 1970 */
export function httpDate(now: number): string {
  update(now);
  return date;
}

/** The line `Date: ...` with its CRLF, for {@link Fields.appendLines}. */
export function dateLine(now: number): Uint8Array {
  update(now);
  return line;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const FORMS = [
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?<day>\d\d) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\d\d)-(?<month>[A-Z][a-z]{2})-(?<year>\d\d) (?<time>\d\d:\d\d:\d\d) GMT$/,
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/,
];

/**
 * Reads a date in one of the three forms of RFC 9110, section 5.6.7. Undefined: it is none.
 * @param now milliseconds since 1970: a year of two digits is at most 50 years ahead of it
 * @returns milliseconds since 1970
 */
export function parseHttpDate(value: string, now: number = Date.now()): number | undefined {
  for (const form of FORMS) {
    const parts = form.exec(value)?.groups;
    if (!parts) continue;
    const month = MONTHS.indexOf(parts.month!);
    const [hours, minutes, seconds] = parts.time!.split(':').map(Number) as [number, number, number];
    const day = Number(parts.day);
    if (month < 0 || day < 1 || hours > 23 || minutes > 59 || seconds > 60) return undefined;
    const year = fullYear(parts.year!, now);
    if (day > new Date(Date.UTC(year, month + 1, 0)).getUTCDate()) return undefined;
    const time = new Date(0);
    time.setUTCFullYear(year, month, day);
    return time.setUTCHours(hours, minutes, seconds);
  }
  return undefined;
}

function fullYear(digits: string, now: number): number {
  if (digits.length === 4) return Number(digits);
  const thisYear = new Date(now).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + Number(digits);
  return year > thisYear + 50 ? year - 100 : year;
}
