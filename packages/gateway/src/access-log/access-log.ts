import type { CommonOptions, Lost, Notice, Sink, SinkCounts } from 'mproxy-flow';
import { addresses } from 'mproxy-flow/addresses';
import { WRITING } from 'mproxy-flow/endpoints/file/events';
import { openPathSink } from 'mproxy-flow/endpoints/file/path';
import { readRotation } from 'mproxy-flow/endpoints/file/rotation/options';
import { udp } from 'mproxy-flow/endpoints/udp/type';
import { LOST, noticeOf } from 'mproxy-flow/events';
import { Outputs } from 'mproxy-flow/open';
import { Program } from 'mproxy-flow/program';
import { resolveTargets } from 'mproxy-flow/targets';
import { Batch } from 'mproxy-framing/batch';
import type { AccessLogConfig } from '../config/types.js';

const NEWLINE = 0x0a;
/** The largest UDP datagram over IPv4, in bytes. */
const MAX_PAYLOAD = 65_507;

/** The access log of all workers, as the main thread writes it: to stdout, a file or as datagrams, by the sinks of flow. */
export class AccessLogOutput {
  readonly #batch = new Batch();

  constructor(
    private readonly program: Program,
    private readonly sink: Sink,
    private readonly isDatagrams: boolean,
  ) {}

  get name(): string {
    return this.sink.name;
  }

  /** Records are counted as datagrams. */
  get counts(): SinkCounts {
    return this.sink.counts;
  }

  /** What was lost since the start, with reasons and remedies. */
  losses(): Lost[] {
    return inRecords(this.program.losses());
  }

  /**
   * Writes records.
   * @param lines whole lines, each with its newline; given away
   * @returns undefined: they have left the program, or are dropped; else resolves when that is so
   */
  write(lines: Uint8Array<ArrayBuffer>, records: number): void | Promise<void> {
    const bytes = Buffer.from(lines.buffer, lines.byteOffset, lines.length);
    if (this.isDatagrams) this.#send(bytes);
    else this.#append(bytes, records);
    this.sink.flush();
    return this.sink.stored?.();
  }

  /** Reopens a file, after logrotate moved it away. */
  reload(): void {
    this.program.reload();
  }

  /** Writes what is left, and closes. What a slow reader has not taken within half a second is dropped. */
  close(): Promise<void> {
    return this.program.stop();
  }

  #append(bytes: Buffer, records: number): void {
    const batch = this.#batch;
    const sizes = new Uint32Array(records);
    for (let i = 0, at = 0; i < records; i++) {
      const end = bytes.indexOf(NEWLINE, at) + 1;
      sizes[i] = end - at;
      at = end;
    }
    batch.lines = batch.large = true;
    batch.reset(bytes);
    batch.setSized(0, bytes.length, sizes, records);
    this.sink.write(batch);
  }

  /** A datagram for each record, with its newline. */
  #send(bytes: Buffer): void {
    const batch = this.#batch;
    batch.reset(bytes);
    for (let at = 0; at < bytes.length; ) {
      const end = bytes.indexOf(NEWLINE, at) + 1;
      batch.add(at, end - at);
      at = end;
      if (!batch.full && at < bytes.length) continue;
      this.sink.write(batch);
      batch.reset(bytes);
    }
  }
}

/**
 * Opens where an access log goes.
 * @param options the engine, and who takes notices: a file that cannot be written, a rotation, lost records
 * @throws MPROXY_FILE, MPROXY_RESOLVE, MPROXY_LISTEN
 */
export async function openAccessLog(
  config: AccessLogConfig,
  options: Pick<CommonOptions, 'engine' | 'onNotice'>,
): Promise<AccessLogOutput> {
  const { onNotice } = options;
  const program = new Program({
    ...options,
    ...(onNotice && { onNotice: (notice) => onNotice(ofRecords(notice)) }),
  });
  const isDatagrams = config.to.startsWith('udp://');
  let sink!: Sink;
  await program.open(async () => {
    sink = isDatagrams ? await openUdp(program, config.to) : openFile(program, config);
  });
  return new AccessLogOutput(program, sink, isDatagrams);
}

async function openUdp(program: Program, to: string): Promise<Sink> {
  const flag = addresses({ help: '', accept: [udp], roles: ['sink'] });
  const targets = await resolveTargets(program, flag.read(to, 'access_log.to', {}), 'sink');
  const [sink] = await new Outputs(program, targets, { payload: MAX_PAYLOAD, values: {} }).open();
  return sink!;
}

function openFile(program: Program, config: AccessLogConfig): Sink {
  const { to, rotateSize, rotateEvery, keep, gzip } = config;
  const rotation = readRotation({ rotateSize, rotateEvery, keep, gzip });
  const sink = openPathSink(program, to, 'lines', false, rotation);
  program.emit(WRITING, { file: to === '-' ? 'stdout' : to });
  return sink;
}

/** What flow calls datagrams are records here. */
function inRecords(losses: readonly Lost[]): Lost[] {
  return losses.map((one) => ({ ...one, lost: one.lost.replace(/\bdatagram/, 'record') }));
}

function ofRecords(notice: Notice): Notice {
  if (notice.event !== LOST.type) return notice;
  return noticeOf(LOST, { losses: inRecords(notice.fields.losses as unknown as Lost[]) });
}
