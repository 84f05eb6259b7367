import { createSocket } from 'node:dgram';
import type { Test } from 'tap';
import { freeUdpPort, UdpSink, udpSend } from './net.js';
import { until } from './wait.js';

/** A group that is used on the loopback interface alone. */
export interface Group {
  ip: string;
  port: number;
  /** As the commands take it, its interface with it. */
  address: string;
}

const LOOPBACK = '127.0.0.1';

/** A group on lo that no other test process uses, with a port that nobody has at the moment. */
export async function loopbackGroup(): Promise<Group> {
  const port = await freeUdpPort();
  const ip = `239.77.${(process.pid >> 8) & 255}.${process.pid & 255}`; // never without interface=lo
  return { ip, port, address: `${ip}:${port},interface=lo` };
}

/** A member of a group that remembers every datagram. */
export async function groupSink(t: Test, { ip, port }: Group): Promise<UdpSink> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true, recvBufferSize: 4 * 1024 * 1024 });
  const sink = new UdpSink(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, ip, resolve);
  });
  socket.addMembership(ip, LOOPBACK);
  t.teardown(() => sink.close());
  return sink;
}

/** Sends to a group by lo, each datagram when the kernel took the one before. */
export async function groupSend({ ip, port }: Group, datagrams: (Buffer | string)[]): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, LOOPBACK, resolve));
  socket.setMulticastInterface(LOOPBACK);
  for (const datagram of datagrams) {
    await new Promise<void>((resolve, reject) =>
      socket.send(datagram, port, ip, (error) => (error ? reject(error) : resolve())),
    );
  }
  socket.close();
}

const MARK = 'the test itself sent this';

/** All that a sink was sent until now: a datagram of the test's own comes after it, in the kernel's order. */
export async function settled(sink: UdpSink, group?: Group): Promise<Buffer[]> {
  if (group) await groupSend(group, [MARK]);
  else await udpSend(sink.port, [MARK], sink.socket.address().address);
  await until('the mark comes', () => String(sink.datagrams.at(-1)) === MARK);
  return sink.datagrams.slice(0, -1);
}
