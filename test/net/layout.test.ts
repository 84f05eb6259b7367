import {
  CMSGHDR,
  decodeAddress,
  decodeReturned,
  decodeSegment,
  decodeSocketAddress,
  encodeAddress,
  encodeSegment,
  epollEvent,
  IOVEC,
  MMSGHDR,
} from 'mproxy-net/linux/layout';
import t from 'tap';

t.test('an IPv4 address is a struct sockaddr_in', async (t) => {
  // sin_family AF_INET 2 in host order, sin_port and sin_addr in network order, sin_zero (netinet/in.h; ip(7)).
  t.equal(encodeAddress('127.0.0.1', 9920).toString('hex'), `0200${'26c0'}7f000001${'00'.repeat(8)}`);
});

t.test('an IPv6 address is a struct sockaddr_in6', async (t) => {
  // sin6_family AF_INET6 10, port, flowinfo, 16 bytes of address, scope id in host order (ipv6(7)).
  const bytes = encodeAddress('fe80::1:2', 65_535, 3);
  t.equal(bytes.toString('hex'), `0a00ffff00000000fe80${'00'.repeat(10)}0001000203000000`);
  t.equal(bytes.length, 28);
});

for (const [ip, hex] of [
  ['::', '00'.repeat(16)],
  ['::1', `${'00'.repeat(15)}01`],
  ['ff02::1', `ff02${'00'.repeat(13)}01`],
  ['2001:db8:1:2:3:4:5:6', '20010db8000100020003000400050006'],
  ['1::', `0001${'00'.repeat(14)}`],
] as const) {
  t.test(`${ip} is sixteen bytes`, async (t) => {
    t.equal(encodeAddress(ip, 1).subarray(8, 24).toString('hex'), hex);
  });
}

t.test('an address comes back as it went in, IPv4-mapped as IPv4', async (t) => {
  for (const [ip, hex] of [
    ['10.1.2.3', '0a010203'],
    ['::ffff:10.1.2.3', '0a010203'],
    ['ff05::7', `ff05${'00'.repeat(13)}07`],
  ] as const) {
    const { port, address } = decodeAddress(encodeAddress(ip, 4242));
    t.strictSame([port, address.toString('hex')], [4242, hex], ip);
  }
});

for (const [ip, zone, text] of [
  ['10.1.2.3', 0, '10.1.2.3'],
  ['::ffff:10.1.2.3', 0, '10.1.2.3'],
  ['::1', 0, '::1'],
  ['2001:db8:0:0:1:0:0:1', 0, '2001:db8::1:0:0:1'],
  ['2001:db8::1', 3, '2001:db8::1'],
  ['fe80::1', 0, 'fe80::1'],
  ['fe80::1', 3, 'fe80::1%eth3'],
  ['febf::1', 4, 'febf::1%eth4'],
  ['fec0::1', 4, 'fec0::1'],
] as const) {
  t.test(`${ip} of interface ${zone} is written ${text}`, async (t) => {
    const bytes = Buffer.concat([Buffer.alloc(8), encodeAddress(ip, 4242, zone)]);
    t.strictSame(
      decodeSocketAddress(bytes, 8, (index) => `eth${index}`),
      { address: text, port: 4242 },
    );
  });
}

t.test('a segment size is a cmsg of SOL_UDP, UDP_SEGMENT and a u16', async (t) => {
  const bytes = Buffer.alloc(24);
  encodeSegment(bytes, 0, 1400);
  // cmsg_len 18 = CMSG_LEN(2), level 17, type 103 (linux/udp.h), then the number.
  t.equal(bytes.toString('hex'), `1200000000000000${'11000000'}67000000${'7805'}${'00'.repeat(6)}`);
});

t.test('a coalesced receive tells its segment size in a cmsg of SOL_UDP, UDP_GRO and an int', async (t) => {
  t.equal(decodeSegment(Buffer.concat([cmsg(17, 104, 1400)]), 0, 24), 1400);
  t.equal(
    decodeSegment(Buffer.concat([cmsg(1, 40, 9), cmsg(17, 104, 8)]), 0, 48),
    8,
    'behind another message',
  );
  t.equal(decodeSegment(Buffer.concat([cmsg(1, 40, 9)]), 0, 24), 0);
  t.equal(decodeSegment(cmsg(17, 104, 1400), 0, 0), 0, 'no control data');
});

t.test('control data that cannot be is read to its end at most', async (t) => {
  const zero = cmsg(1, 2, 3);
  zero.writeBigUInt64LE(0n, 0);
  t.equal(decodeSegment(zero, 0, 24), 0);
  t.equal(decodeSegment(cmsg(17, 104, 1400).subarray(0, 18), 0, 1000), 0);
});

/** struct sock_extended_err in a cmsg (linux/errqueue.h), then 16 bytes of the offender's address. */
function returned(level: number, type: number, errno: number, origin: number): Buffer {
  const bytes = Buffer.alloc(48);
  bytes.writeBigUInt64LE(48n, 0);
  bytes.writeInt32LE(level, 8);
  bytes.writeInt32LE(type, 12);
  bytes.writeUInt32LE(errno, 16);
  bytes[20] = origin;
  return bytes;
}

for (const [what, level, type, origin, errno] of [
  ['an ICMP message', 0, 11, 2, 113],
  ['an ICMPv6 message', 41, 25, 3, 113],
  ['an ICMP message to a socket of IPv6', 41, 25, 2, 113],
  ['what this host refused itself', 0, 11, 1, 0],
  ['a time stamp', 0, 11, 4, 0],
  ['another control message', 0, 8, 2, 0],
] as const) {
  t.test(`the error queue's entry for ${what} is errno ${errno}`, async (t) => {
    const bytes = returned(level, type, 113, origin);
    t.equal(decodeReturned(bytes, 0, 48), errno);
    t.equal(decodeReturned(Buffer.concat([cmsg(1, 29, 5), bytes]), 0, 72), errno, 'behind another message');
    t.equal(decodeReturned(bytes, 0, 30), 0, 'cut short');
    t.equal(decodeReturned(bytes, 0, 0), 0, 'no control data');
  });
}

t.test('the sizes are those of 64-bit Linux', async (t) => {
  t.strictSame([IOVEC.size, MMSGHDR.size, CMSGHDR.size], [16, 64, 16]);
  t.strictSame([MMSGHDR.iov, MMSGHDR.control, MMSGHDR.length], [16, 32, 56]);
});

for (const [arch, size, data] of [
  ['x64', 12, 4],
  ['arm64', 16, 8],
] as const) {
  t.test(`a struct epoll_event has ${size} bytes on ${arch}`, async (t) => {
    // Packed on x86-64 alone (EPOLL_PACKED, linux/eventpoll.h).
    t.strictSame(epollEvent(arch), { size, events: 0, data });
  });
}

/** CMSG_SPACE(4) bytes: a control message with an int. */
function cmsg(level: number, type: number, value: number): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeBigUInt64LE(20n, 0);
  bytes.writeInt32LE(level, 8);
  bytes.writeInt32LE(type, 12);
  bytes.writeInt32LE(value, 16);
  return bytes;
}
