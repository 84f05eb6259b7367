import type { Program, Target } from 'mproxy-flow';
import { sinkCounts } from 'mproxy-flow/counts';
import { MoldSink } from 'mproxy-flow/endpoints/mold/sink';
import type { PacketSink } from 'mproxy-flow/transport';
import { Batch } from 'mproxy-framing';
import { countOf, END_OF_SESSION } from 'mproxy-mold';
import t from 'tap';
import { spell } from '../mold/packets.js';
import { ENGINES } from '../net/engines.js';

/** A connection whose server does not know senders: nothing is requested. */
class Packets implements PacketSink {
  readonly name = 'packets';
  readonly counts = { ...sinkCounts(), errors: { EMSGSIZE: 1 } };
  readonly dropReason = 'its own reason';
  readonly taken: Buffer[] = [];
  flushed = 0;
  full = false;

  write(batch: Batch): void {
    batch.each((offset, length) =>
      this.taken.push(Buffer.from(batch.slab.subarray(offset, offset + length))),
    );
  }

  flush(): void {
    this.flushed = this.taken.length;
  }

  room(): Promise<void> | undefined {
    return this.full ? new Promise(() => undefined) : undefined;
  }

  errorAdvice(code: string): string {
    return `advice for ${code}`;
  }

  abortPending(): void {}
  async close(): Promise<void> {}
}

/** A session to one sink, with one message sent. */
async function open(packets: Packets): Promise<MoldSink> {
  const program = { engine: ENGINES[0], emit() {}, sink: <S>(sink: S) => sink } as unknown as Program;
  const repairRate = { unit: 'bits', perSecond: 1e9 } as const;
  const sending = { session: 'S         ', retain: 2 ** 20, repairRate, linger: 60_000, payload: 1000 };
  const sink = new MoldSink(program, { ...sending, waits: true, values: {} });
  const opener = { openPacketSink: async () => packets };
  await sink.open([{ opener, answers: [] } as unknown as Target]);
  const batch = new Batch();
  batch.reset(Buffer.from('one\n'));
  batch.add(0, 4);
  sink.write(batch);
  sink.flush();
  return sink;
}

t.test('packets are flushed; the end is sent once, and waits for no requests', async (t) => {
  const packets = new Packets();
  const sink = await open(packets);
  t.equal(packets.flushed, 1);
  await sink.close();
  t.equal(packets.taken.length, 2);
  t.equal(spell(packets.taken[0]!), '1: one\n');
  t.equal(countOf(packets.taken[1]!, 0), END_OF_SESSION);
  t.equal(packets.flushed, 2);
});

t.test('nothing but messages is sent where packets wait', async (t) => {
  const packets = new Packets();
  const sink = await open(packets);
  packets.full = true;
  await sink.close();
  t.equal(packets.taken.length, 1);
});

t.test('its sink says why it drops, and what helps', async (t) => {
  const sink = await open(new Packets());
  t.equal(sink.dropReason, 'its own reason');
  t.equal(sink.errorAdvice('EMSGSIZE'), 'advice for EMSGSIZE');
  await sink.close();
});
