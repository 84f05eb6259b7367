import type { Batch } from 'mproxy-framing';
import { Assignment } from 'mproxy-net/linux/assignment';

/** What a receiving thread is given to receive from a socket that is bound; what it delivers is remembered. */
export function assignmentOf(fd: number): { assignment: Assignment; texts: string[] } {
  const texts: string[] = [];
  const deliver = (batch: Batch) => {
    batch.each((offset, length) => texts.push(String(batch.keep(offset, length))));
    return undefined;
  };
  const socket = { fd, ignored: [], roomy: false, tellsSenders: false };
  return { assignment: new Assignment(socket, { sockets: [], files: [], clients: [] }, deliver), texts };
}
