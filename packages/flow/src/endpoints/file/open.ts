import type { ValuesOf } from 'mproxy-base';
import type { Frame } from 'mproxy-framing';
import type { AnyAddress, Opener } from '../../endpoint.js';
import type { FILE_MODE, READ, ROTATION } from './flags.js';
import { FollowedInput } from './follow.js';
import { openInput } from './open-input.js';
import { openPathSink } from './path.js';
import { readRotation } from './rotation/options.js';
import { FileSource } from './source.js';
import { stdoutSink } from './stream-sink.js';

type ReadValues = ValuesOf<{ read: typeof READ }> & { flushAfter?: number; tee?: boolean; frame?: Frame };
type WriteValues = ValuesOf<{ rotation: typeof ROTATION; mode: { fileMode: typeof FILE_MODE } }>;

export const opener: Opener<AnyAddress> = {
  async openSources(program, { address }, { payload, values }) {
    const { follow, fromEnd, baud, flushAfter, frame = 'lines', tee } = values as ReadValues;
    const path = address.text;
    const { engine } = program;
    const input = follow
      ? new FollowedInput(path, fromEnd, program, baud)
      : openInput(path, { engine, baud, lends: engine.sendsAtOnce });
    const copy = tee ? stdoutSink(program, frame, true) : undefined;
    return [program.source(new FileSource(path, input, { frame, payload, flushAfter, tee: copy }))];
  },
  sharesSinks: true,
  async openSinks(program, targets, { frame = 'lines', waits = false, values }) {
    const { fileMode } = values as WriteValues;
    const rotation = readRotation(values as WriteValues);
    return targets.map(({ address }) =>
      openPathSink(program, address.text, frame, waits, rotation, fileMode),
    );
  },
};
