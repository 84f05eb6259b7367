import type { StreamInfo } from 'mproxy-flow/endpoints/nats/jet-api';
import type { Durable } from 'mproxy-flow/endpoints/nats/jet-consumer';
import type { Delivery } from 'mproxy-flow/endpoints/nats/jet-delivery';
import { JetGaps } from 'mproxy-flow/endpoints/nats/jet-gaps';
import t from 'tap';

const stream = (first: number, last: number, more: Partial<StreamInfo> = {}): StreamInfo => ({
  ...{ subjects: ['a'], first, last, messages: last + 1 - first, deleted: 0 },
  ...{ isWorkQueue: false, created: 'now', duplicateWindowMs: 0, acknowledges: true, ...more },
});

const durable = (more: Partial<Durable> = {}): Durable => ({
  ...{
    name: 'D',
    maxPending: 10,
    isNew: false,
    floor: 0,
    delivered: 0,
    number: 0,
    pending: 0,
  },
  ...{ ackWaitMs: 5000, waitMs: 5500, ...more },
});

/** Gaps of the subject `a`, and what they report. */
function gapsOf(isOrdered: boolean, subject = 'a') {
  const reports: string[] = [];
  const gaps = new JetGaps(subject, isOrdered, {
    onLost: ({ first, last }) => reports.push(`lost ${first}-${last}`),
    onRemoved: ({ first, last }) => reports.push(`removed ${first}-${last}`),
  });
  const take = (sequence: number, number: number, isFirst = true) =>
    gaps.take({ sequence, number, isFirst } as Delivery);
  return { gaps, reports, take };
}

t.test(
  'an ordered consumer: a gap between deliveries in a row is lost, a delivery that is not the next is refused',
  async (t) => {
    const { gaps, reports, take } = gapsOf(true);
    gaps.start(1, stream(1, 5));
    gaps.beforeOrdered(stream(1, 5));
    t.ok(take(1, 1));
    t.ok(take(4, 2));
    t.notOk(take(9, 4));
    t.equal(gaps.next, 5, 'the next consumer begins there');
    t.strictSame(reports, ['lost 2-3']);
  },
);

t.test('a durable consumer: what is sent again changes nothing, and a gap after it is lost', async (t) => {
  const { gaps, reports, take } = gapsOf(false);
  gaps.start(1, stream(1, 5));
  gaps.atDurable(durable({ isNew: true }), stream(1, 5));
  for (const [sequence, number, isFirst] of [
    [1, 1, true],
    [2, 2, true],
    [1, 3, false],
    [6, 4, true],
  ] as const)
    t.ok(take(sequence, number, isFirst));
  t.strictSame(reports, ['lost 3-5']);
});

t.test(
  'a durable consumer that others share: their deliveries are no gaps, unless the stream removed them',
  async (t) => {
    const { gaps, reports, take } = gapsOf(false);
    gaps.start(1, stream(1, 20));
    gaps.atDurable(durable({ isNew: true }), stream(1, 20));
    take(1, 1);
    take(5, 5);
    take(6, 6);
    const gap = gaps.doubtful()!;
    t.strictSame(gap, { first: 2, last: 4 });
    t.equal(gaps.doubtful(), undefined);
    gaps.compare(gap, stream(1, 20));
    t.strictSame(reports, []);
    gaps.compare(gap, stream(4, 20));
    t.strictSame(reports, ['removed 2-3']);
  },
);

t.test(
  'a durable consumer that resumes: what nobody was sent is lost, what was sent and not acknowledged may be',
  async (t) => {
    const { gaps, reports } = gapsOf(false);
    gaps.start(11, stream(31, 40));
    gaps.atDurable(durable({ floor: 10, delivered: 20, number: 20, pending: 3 }), stream(31, 40));
    t.strictSame(reports, ['removed 11-20', 'lost 21-30']);
    t.equal(gaps.next, 31);
  },
);

t.test(
  'gaps between messages that a stream had when it was first seen may be older than the receiver',
  async (t) => {
    const { gaps, reports, take } = gapsOf(true);
    gaps.start(1, stream(1, 10, { deleted: 2 }));
    gaps.beforeOrdered(stream(1, 10, { deleted: 2 }));
    take(1, 1);
    take(4, 2);
    t.strictSame(gaps.doubtful(), { first: 2, last: 3 });
    take(10, 3);
    take(13, 4);
    t.strictSame(reports, ['lost 11-12']);
  },
);

t.test('a stream has other subjects, too', async (t) => {
  const { gaps, reports, take } = gapsOf(true);
  const mixed = stream(1, 10, { subjects: ['a', 'b'] });
  gaps.start(1, mixed);
  gaps.beforeOrdered(mixed);
  take(3, 1);
  take(9, 2);
  take(11, 3);
  t.strictSame(gaps.doubtful(), { first: 4, last: 8 }, 'the largest gap');
  gaps.beforeOrdered({ ...mixed, first: 20 });
  t.strictSame(reports, ['removed 12-19']);
  const all = gapsOf(true, '*');
  all.gaps.start(1, mixed);
  all.gaps.beforeOrdered(mixed);
  all.take(3, 1);
  t.strictSame(all.reports, ['lost 1-2'], 'a wildcard for all of them');
});
