import { parentPort, workerData } from 'node:worker_threads';
import { answers } from './handler.js';
import { ASK, type Listening, type StatusData, type Told } from './messages.js';
import { withPolicy } from './page.js';
import { StatusServer } from './server.js';
import { Status } from './status.js';

/** The thread that serves the status of a program. */

const port = parentPort!;
const data = workerData as StatusData;
const status = new Status(data, () => port.postMessage(ASK));
const server = new StatusServer(data.allow, answers(status, withPolicy(data.page)));

/** An error of the system ends the thread, and is its report to the program (Node: worker_threads, event `error`). */
async function listen(): Promise<void> {
  port.postMessage((await server.listen(data.listen)) satisfies Listening);
}

void listen();
port.on('message', (told: Told) => {
  if (told.what === 'snapshot') status.take(told.snapshot, told.isTick);
  else if (told.what === 'notice') status.notice(told.notice);
  else {
    status.close();
    server.close();
    port.close();
  }
});
