/** A class A position report (ITU-R M.1371, message 1), in common units. */
export interface PositionReport {
  /** Nine digits; the first three are the country. */
  mmsi: number;
  /** 0 under way using engine, 1 at anchor, 5 moored. */
  status: number;
  /** Rate of turn as encoded, -128 to 127; -128 is unknown. */
  turn: number;
  /** Knots over ground. */
  speed: number;
  /** Whether the position is accurate to 10 m. */
  accurate: boolean;
  /** Degrees, east and north positive. */
  longitude: number;
  latitude: number;
  /** Degrees over ground. */
  course: number;
  /** Degrees; 511 is unknown. */
  heading: number;
  /** Second of the minute. */
  second: number;
  /** Radio link state as encoded. */
  radio: number;
}

/** The NMEA sentence of a report, without line end. */
export function positionSentence(report: PositionReport, channel: 'A' | 'B'): string {
  const body = `AIVDM,1,1,,${channel},${armour(positionBits(report))},0`;
  return `!${body}*${checksum(body)}`;
}

/** NMEA 0183: exclusive or of the bytes between `!` and `*`, as two hexadecimal digits. */
export function checksum(body: string): string {
  let sum = 0;
  for (const byte of Buffer.from(body)) sum ^= byte;
  return sum.toString(16).toUpperCase().padStart(2, '0');
}

/** `count` sentences of a fleet: each ship reports in turn, every ten seconds of its journey. */
export function fleetFeed(ships: number, count: number): Buffer {
  const fleet = Array.from({ length: ships }, (_, i) => createShip(i));
  const lines: string[] = [];
  for (let i = 0; i < count; i++) {
    const ship = fleet[i % ships]!;
    const second = Math.floor((i / ships) * PERIOD) % 60;
    lines.push(`${positionSentence(report(ship, second), i % 2 ? 'B' : 'A')}\r\n`);
    moveShip(ship, PERIOD);
  }
  return Buffer.from(lines.join(''));
}

/** Seconds between two reports of a ship: the class A interval at up to 14 knots. */
const PERIOD = 10;

interface Ship {
  mmsi: number;
  speed: number;
  longitude: number;
  latitude: number;
  course: number;
  /** Degrees per minute, to starboard. */
  turning: number;
}

/** Places ship number i in the German Bight, reproducibly. */
function createShip(i: number): Ship {
  const countries = [211, 219, 220, 232, 235, 244, 245, 257, 265, 538];
  // The fractional parts of the multiples of an irrational number are spread evenly.
  const spread = (factor: number) => ((i + 1) * factor) % 1;
  const anchored = i % 10 === 9;
  return {
    mmsi: countries[i % countries.length]! * 1e6 + 100_000 + i * 37,
    speed: anchored ? 0 : 4 + 18 * spread(Math.SQRT2),
    longitude: 5 + 2.5 * spread(Math.E),
    latitude: 54 + spread(Math.PI),
    course: 360 * spread(Math.LN2),
    turning: anchored ? 0 : 6 * (spread(Math.LN10) - 0.5),
  };
}

function moveShip(ship: Ship, seconds: number): void {
  const radians = (ship.course * Math.PI) / 180;
  // A knot is one minute of latitude per hour.
  const degrees = ((ship.speed / 60) * seconds) / 3600;
  ship.latitude += degrees * Math.cos(radians);
  ship.longitude += (degrees * Math.sin(radians)) / Math.cos((ship.latitude * Math.PI) / 180);
  ship.course = (ship.course + (ship.turning * seconds) / 60 + 360) % 360;
}

function report(ship: Ship, second: number): PositionReport {
  const { mmsi, speed, longitude, latitude, course, turning } = ship;
  return {
    mmsi,
    status: speed > 0 ? 0 : 1,
    turn: Math.round(Math.sign(turning) * 4.733 * Math.sqrt(Math.abs(turning))),
    speed,
    accurate: true,
    longitude,
    latitude,
    course,
    heading: Math.round(course) % 360,
    second,
    radio: 0,
  };
}

/** The fields of message 1 in order: 168 bits. */
function positionBits(report: PositionReport): number[] {
  const bits: number[] = [];
  const put = (width: number, value: number) => {
    for (let bit = width - 1; bit >= 0; bit--) bits.push((value >> bit) & 1);
  };
  put(6, 1);
  put(2, 0);
  put(30, report.mmsi);
  put(4, report.status);
  put(8, report.turn);
  put(10, Math.round(report.speed * 10));
  put(1, report.accurate ? 1 : 0);
  put(28, Math.round(report.longitude * 600_000));
  put(27, Math.round(report.latitude * 600_000));
  put(12, Math.round(report.course * 10) % 3600);
  put(9, report.heading);
  put(6, report.second);
  // Special manoeuvre, spare, RAIM: none.
  put(6, 0);
  put(19, report.radio);
  return bits;
}

/** Six bits per character: 0 to 39 are `0` to `W`, 40 to 63 are `` ` `` to `w`. */
function armour(bits: number[]): string {
  let text = '';
  for (let at = 0; at < bits.length; at += 6) {
    const value = bits.slice(at, at + 6).reduce((sum, bit) => sum * 2 + bit, 0);
    text += String.fromCharCode(value + (value < 40 ? 48 : 56));
  }
  return text;
}
