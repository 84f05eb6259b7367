#!/usr/bin/env python3
"""A MoldUDP64 1.00 peer for tests, in both roles, written from the protocol's description alone.

Downstream packet: session (10 ASCII bytes, padded with spaces on the right), number of the first message
(u64), count (u16), then the messages, each after its length (u16). Count 0 is a heartbeat, 0xFFFF the end of
the session; both name the next number. Request: session, first number wanted, count. All is big-endian.
"""
import argparse
import json
import select
import socket
import struct
import sys
import time
from bisect import bisect_left
from collections import Counter
from ipaddress import IPv4Address

HEADER, LENGTH = struct.Struct('>10sQH'), struct.Struct('>H')
HEARTBEAT, END = 0, 0xFFFF
IDLE_S, END_AGAIN_S = 1, 0.2  # after which a sender says that it is there, and that it ended
REORDER_S = 0.02  # a packet may only be late: what is missing is waited for before it is asked for
ASK_AGAIN_S, ASK_LEAST_S = 0.05, 1  # doubles from the first to the second while no answer comes
BURST = 64  # gaps asked for at the same time


def decode(packet):
    """Session, first number, count and messages of a downstream packet, or struct.error."""
    session, first, count = HEADER.unpack_from(packet)
    messages, at = [], HEADER.size
    for _ in range(0 if count == END else count):
        (length,) = LENGTH.unpack_from(packet, at)
        messages.append(packet[at + LENGTH.size : at + LENGTH.size + length])
        at += LENGTH.size + length
    if at != len(packet) or first == 0 or not session.isascii():
        raise struct.error('not what its header says')
    return session, first, count, messages


def say(**fields):
    print(json.dumps(fields), flush=True)


def udp(address, interface):
    """A socket bound to an address, to a group as a member; it sends to groups by the same interface."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, buffer, 4 << 20)
    own = socket.inet_aton(interface)
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
    if IPv4Address(address[0]).is_multicast:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(address[0]) + own)
    sock.bind(address)
    return sock


class Sender:
    def __init__(self, args):
        most = args.payload - HEADER.size - LENGTH.size  # a longer line is several messages
        with open(args.file, 'rb') as file:
            self.messages = [line[at : at + most] for line in file for at in range(0, len(line), most)]
        self.args, self.session = args, args.session.encode('ascii').ljust(10)
        self.next, self.counts, self.last, self.asked = 1, Counter(), 0.0, 0.0
        self.socket = udp((args.interface, 0), args.interface)

    def pack(self, first, most):
        """A packet that begins with message `first`, and how many messages found room in it."""
        body, count = b'', 0
        while count < min(most, END - 1):
            message = self.messages[first - 1 + count]
            if HEADER.size + len(body) + LENGTH.size + len(message) > self.args.payload:
                break
            body += LENGTH.pack(len(message)) + message
            count += 1
        return HEADER.pack(self.session, first, count) + body, count

    def transmit(self, packet, kind):
        self.counts['downstream'] += 1
        self.counts[kind] += 1
        self.last = time.monotonic()
        if self.args.drop and self.counts['downstream'] % self.args.drop == 0:
            self.counts['dropped'] += 1
        else:
            self.socket.sendto(packet, self.args.to)

    def answer(self):
        request, requester = self.socket.recvfrom(65536)
        self.counts['requests'] += 1
        session, first, count = HEADER.unpack(request) if len(request) == HEADER.size else (None, 0, 0)
        if session != self.session or not 0 < first < self.next or count == 0:
            self.counts['refused'] += 1
            return
        self.asked = time.monotonic()
        packet, answered = self.pack(first, min(count, self.next - first))
        self.socket.sendto(packet, requester)
        self.counts.update(answers=1, answered=answered)

    def run(self):
        say(ready='send', address='%s:%d' % self.socket.getsockname(), session=self.args.session)
        start = self.last = time.monotonic()
        paced, ended, total = 0, None, len(self.messages)
        while True:
            now = time.monotonic()
            if self.next <= total:
                due = start + paced / self.args.rate if self.args.rate else now
                if now >= due:
                    packet, count = self.pack(self.next, total - self.next + 1)
                    self.next += count
                    paced += len(packet)
                    self.transmit(packet, 'data')
                elif now >= self.last + IDLE_S:
                    self.transmit(HEADER.pack(self.session, self.next, HEARTBEAT), 'heartbeats')
                wake = min(due, self.last + IDLE_S)
            else:
                if ended is None or now >= self.last + END_AGAIN_S:
                    self.transmit(HEADER.pack(self.session, self.next, END), 'ends')
                    ended = ended or now
                wake = self.last + END_AGAIN_S
                if now >= max(ended, self.asked) + self.args.linger:
                    break
            if select.select([self.socket], [], [], max(0, wake - now))[0]:
                self.answer()
        say(messages=total, bytes=sum(map(len, self.messages)), **self.counts)
        return 0


class Receiver:
    def __init__(self, args):
        self.args, self.out = args, open(args.file, 'wb')
        self.session = self.source = self.end = None
        self.begin = self.next = self.known = 1  # first and next number to write; all below `known` exist
        self.held, self.gaps = {}, []  # messages after a gap; (first, end) of what is missing, in order
        self.due, self.wait, self.asked = 0.0, ASK_AGAIN_S, 0  # the next requests; all below `asked` were asked for
        self.counts, self.bytes, self.progress = Counter(), 0, time.monotonic()
        self.asking = udp((args.interface, 0), args.interface)
        self.sockets = {'address': udp(args.listen, args.interface), 'requests': self.asking}

    def take(self, packet, source, repair):
        """A packet from the stream's socket, or, as an answer, from the one that asks."""
        now = time.monotonic()
        try:
            session, first, count, messages = decode(packet)
        except struct.error:
            self.counts['malformed'] += 1
            return
        if self.session is None and not repair:
            self.session, self.source = session, source
            if not self.args.from_start:
                self.begin = self.next = self.known = first
        if session != self.session or not repair and source != self.source:
            self.counts['foreign'] += 1
            return
        self.counts[{HEARTBEAT: 'heartbeats', END: 'ends'}.get(count, 'answers' if repair else 'data')] += 1
        after = first + len(messages)
        if count == END:
            self.counts['contradictions'] += first < self.known or self.end not in (None, first)
            self.end = first
        elif self.end is not None:
            self.counts['contradictions'] += after > self.end
        if first > self.known:
            if not self.gaps:
                self.due, self.wait = now + REORDER_S, ASK_AGAIN_S
            self.gaps.append((self.known, first))
        self.known = max(self.known, after)
        if messages and self.hold(first, after, messages):
            self.progress = now
            if repair:  # one request may bring many packets: as long as they come, none is asked for again
                self.wait, waits = ASK_AGAIN_S, bool(self.gaps) and self.gaps[0][0] < self.asked
                self.due = now + self.wait * waits
        elif not self.gaps:
            self.progress = now

    def hold(self, first, after, messages):
        """Keeps what is new, writes what is next; how many were new."""
        new = {n: m for n, m in enumerate(messages, first) if n >= self.next and n not in self.held}
        self.counts['duplicates'] += len(messages) - len(new)
        self.held.update(new)
        at = up_to = max(0, bisect_left(self.gaps, (first + 1,)) - 1)
        rest = []  # of the gaps that these messages touch
        while up_to < len(self.gaps) and self.gaps[up_to][0] < after:
            begin, end = self.gaps[up_to]
            rest += [(a, b) for a, b in ((begin, min(end, first)), (max(begin, after), end)) if a < b]
            up_to += 1
        self.gaps[at:up_to] = rest
        while self.next in self.held:
            message = self.held.pop(self.next)
            self.out.write(message)
            self.next += 1
            self.bytes += len(message)
        return len(new)

    def ask(self, now):
        for first, end in self.gaps[:BURST]:
            self.asked = min(end, first + END - 1)
            request = HEADER.pack(self.session, first, self.asked - first)
            self.asking.sendto(request, self.args.request_addr or self.source)
            self.counts['requests'] += 1
        self.due, self.wait = now + self.wait, min(2 * self.wait, ASK_LEAST_S)

    def run(self):
        say(ready='receive', **{key: '%s:%d' % sock.getsockname() for key, sock in self.sockets.items()})
        while self.end is None or self.next < self.end:
            now, over = time.monotonic(), self.progress + self.args.timeout
            if now >= over:
                break
            if self.gaps and now >= self.due:
                self.ask(now)
            wake = min(over, self.due) if self.gaps else over
            for sock in select.select(self.sockets.values(), [], [], max(0, wake - now))[0]:
                self.take(*sock.recvfrom(65536), sock is self.asking)
        self.out.close()
        name = self.session and self.session.decode('ascii').rstrip(' ')
        numbers = {'begin': self.begin, 'next': self.next, 'end': self.end, 'bytes': self.bytes}
        say(session=name, messages=self.next - self.begin, **numbers, **self.counts)
        gaps = ', '.join('%d-%d' % (first, end - 1) for first, end in self.gaps)
        wrong = ['no session'] * (self.session is None) + ['no end of the session'] * (self.end is None)
        wrong += ['missing %s' % gaps] * bool(gaps) + ['contradictions'] * bool(self.counts['contradictions'])
        return 'peer.py: receive: %s' % ', '.join(wrong) if wrong else 0


def host_port(text):
    return text.rpartition(':')[0], int(text.rpartition(':')[2])


def main():
    parser = argparse.ArgumentParser(description='A MoldUDP64 peer for tests.')
    roles = parser.add_subparsers(dest='role', required=True)
    send = roles.add_parser('send', help='send a file, a line a message, and answer requests')
    send.add_argument('--to', type=host_port, required=True, metavar='HOST:PORT')
    send.add_argument('--rate', type=float, default=10e6, help='bytes a second; 0: no pace (default 10e6)')
    send.add_argument('--payload', type=int, default=1400, help='bytes in a packet at most (default 1400)')
    send.add_argument('--session', default='%010d' % (time.time_ns() // 1000 % 10**10))
    send.add_argument('--linger', type=float, default=2, help='seconds after the end, or the last request')
    send.add_argument('--drop', type=int, default=0, metavar='N', help='leave out every N-th, not answers')
    receive = roles.add_parser('receive', help='receive one session to its end, ask for what is missing')
    receive.add_argument('--listen', type=host_port, required=True, metavar='HOST:PORT')
    receive.add_argument('--request-addr', type=host_port, metavar='HOST:PORT', help='default: the source')
    receive.add_argument('--from-start', action='store_true', help='ask for what came before, too')
    receive.add_argument('--timeout', type=float, default=10, help='gives up after so long without progress')
    for role in (send, receive):
        role.add_argument('--file', required=True)
        role.add_argument('--interface', metavar='IP', default='127.0.0.1', help='own address (%(default)s)')
    args = parser.parse_args()
    return (Sender if args.role == 'send' else Receiver)(args).run()


if __name__ == '__main__':
    sys.exit(main())
