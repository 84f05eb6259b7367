import t, { type Test } from 'tap';
import { Random } from '../support/random.js';

interface PositionReport {
  mmsi: number;
  status: number;
  turn: number;
  speed: number;
  accurate: boolean;
  longitude: number;
  latitude: number;
  course: number;
  heading: number;
  second: number;
  radio: number;
}

interface Ais {
  checksum(body: string): string;
  fleetFeed(ships: number, count: number): Buffer;
  positionSentence(report: PositionReport, channel: 'A' | 'B'): string;
}

// The demo is a project of its own: the tests meet what it was compiled to.
const demo = new URL('../../demo/ais.js', import.meta.url);
const { checksum, fleetFeed, positionSentence } = (await import(demo.href)) as Ais;

/** Real sentences with what others publish as their contents. */
const KNOWN: [string, 'A' | 'B', PositionReport][] = [
  [
    '!AIVDM,1,1,,A,15RTgt0PAso;90TKcjM8h6g208CQ,0*4A',
    'A',
    {
      mmsi: 371798000,
      status: 0,
      turn: -127,
      speed: 12.3,
      accurate: true,
      longitude: -123.395383333,
      latitude: 48.381633333,
      course: 224,
      heading: 215,
      second: 33,
      radio: 34017,
    },
  ],
  [
    '!AIVDM,1,1,,A,16SteH0P00Jt63hHaa6SagvJ087r,0*42',
    'A',
    {
      mmsi: 440348000,
      status: 0,
      turn: -128,
      speed: 0,
      accurate: false,
      longitude: -70.7582,
      latitude: 43.08015,
      course: 93.4,
      heading: 511,
      second: 13,
      radio: 33274,
    },
  ],
];

t.test('known sentences', async (t) => {
  for (const [sentence, channel, report] of KNOWN) {
    near(t, decode(sentence), report);
    t.equal(positionSentence(report, channel), sentence, 'the same contents make the same sentence');
  }
  const seattle = decode('!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C');
  t.match(seattle, { mmsi: 477553000, status: 5, speed: 0, course: 51, heading: 181 });
  t.equal(seattle.latitude.toFixed(6), '47.582833');
  t.equal(seattle.longitude.toFixed(6), '-122.345833');
});

t.test('any report can be read back', async (t) => {
  const random = new Random();
  t.comment(`SEED=${random.seed}`);
  for (let i = 0; i < 500; i++) {
    const report: PositionReport = {
      mmsi: random.integer(201_000_000, 775_999_999),
      status: random.integer(0, 15),
      turn: random.integer(-128, 127),
      speed: random.integer(0, 1022) / 10,
      accurate: random.pick([true, false]),
      longitude: random.integer(-108_000_000, 108_000_000) / 600_000,
      latitude: random.integer(-54_000_000, 54_000_000) / 600_000,
      course: random.integer(0, 3599) / 10,
      heading: random.integer(0, 359),
      second: random.integer(0, 59),
      radio: random.integer(0, 2 ** 19 - 1),
    };
    near(t, decode(positionSentence(report, 'B')), report);
  }
});

t.test('the fleet moves by course and speed', async (t) => {
  const lines = fleetFeed(20, 2000).toString().split('\r\n');
  t.equal(lines.pop(), '', 'it ends with a line end');
  t.equal(lines.length, 2000);
  t.ok(
    lines.every((line) => line.length <= 80),
    'a sentence has at most 82 characters, its line end among them (NMEA 0183)',
  );
  const tracks = new Map<number, PositionReport[]>();
  for (const report of lines.map(decode)) {
    tracks.set(report.mmsi, [...(tracks.get(report.mmsi) ?? []), report]);
  }
  t.equal(tracks.size, 20, 'every ship has a number of its own');
  for (const track of tracks.values()) {
    t.equal(track.length, 100);
    for (const [i, now] of track.slice(1).entries()) {
      const { distance, bearing } = way(track[i]!, now);
      const { speed, course } = track[i]!;
      // Ten seconds; positions are told to 1/10,000 minute.
      if (Math.abs(distance - speed / 360) > 0.0003)
        t.fail(`${distance} miles in ten seconds at ${speed} knots`);
      const off = Math.abs(((bearing - course + 540) % 360) - 180);
      if (speed > 4 && off > 1) t.fail(`went ${bearing} degrees, its course was ${course}`);
    }
  }
  const stopped = [...tracks.values()].filter(([first]) => first!.speed === 0);
  t.ok(
    stopped.length > 0 && stopped.every(([first]) => first!.status === 1),
    'who does not move is at anchor',
  );
});

function near(t: Test, found: PositionReport, wanted: PositionReport): void {
  const rounded = (report: PositionReport) => ({
    ...report,
    longitude: Math.round(report.longitude * 600_000),
    latitude: Math.round(report.latitude * 600_000),
  });
  t.strictSame(rounded(found), rounded(wanted));
}

/** Nautical miles and degrees from one position to another, on a plane: good for short ways. */
function way(from: PositionReport, to: PositionReport): { distance: number; bearing: number } {
  const north = (to.latitude - from.latitude) * 60;
  const east = (to.longitude - from.longitude) * 60 * Math.cos((to.latitude * Math.PI) / 180);
  return {
    distance: Math.hypot(north, east),
    bearing: ((Math.atan2(east, north) * 180) / Math.PI + 360) % 360,
  };
}

/** A reader of message 1, written from the standard's table and not from the writer's code. */
function decode(sentence: string): PositionReport {
  const [, body = '', sum = ''] = /^!(.*)\*([0-9A-F]{2})$/.exec(sentence) ?? [];
  if (checksum(body) !== sum) throw new Error(`wrong checksum: ${sentence}`);
  const [tag, parts, part, id, channel, payload = '', fill] = body.split(',');
  if (`${tag},${parts},${part},${id}` !== 'AIVDM,1,1,' || !/[AB]/.test(channel!) || fill !== '0')
    throw new Error(body);
  const bits = [...payload].map((letter) => sixBits(letter).toString(2).padStart(6, '0')).join('');
  if (bits.length !== 168) throw new Error(`${bits.length} bits: ${sentence}`);
  const unsigned = (from: number, length: number) => Number.parseInt(bits.slice(from, from + length), 2);
  const signed = (from: number, length: number) =>
    unsigned(from, length) - (bits[from] === '1' ? 2 ** length : 0);
  if (unsigned(0, 6) !== 1 || unsigned(6, 2) !== 0) throw new Error(`not message 1: ${sentence}`);
  return {
    mmsi: unsigned(8, 30),
    status: unsigned(38, 4),
    turn: signed(42, 8),
    speed: unsigned(50, 10) / 10,
    accurate: bits[60] === '1',
    longitude: signed(61, 28) / 600_000,
    latitude: signed(89, 27) / 600_000,
    course: unsigned(116, 12) / 10,
    heading: unsigned(128, 9),
    second: unsigned(137, 6),
    radio: unsigned(149, 19),
  };
}

function sixBits(letter: string): number {
  const place = '0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVW`abcdefghijklmnopqrstuvw'.indexOf(letter);
  if (place < 0) throw new Error(`not armour: ${letter}`);
  return place;
}
